-- +goose Up
-- +goose StatementBegin
-- Polls read which users have changed.
CREATE INDEX users_updated_at ON users (updated_at);
-- +goose StatementEnd
