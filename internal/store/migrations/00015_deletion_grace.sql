-- +goose Up
-- +goose StatementBegin
-- When a user's request to delete the account takes effect. Until then a sign-in cancels it.
ALTER TABLE users ADD COLUMN deletes_at BIGINT;
CREATE INDEX users_deletes_at ON users (deletes_at) WHERE deletes_at IS NOT NULL;
-- +goose StatementEnd
