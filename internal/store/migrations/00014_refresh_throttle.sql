-- +goose Up
-- +goose StatementBegin
-- The bucket of a session's refreshes, in the row that a refresh updates anyway: when it is empty again.
ALTER TABLE sessions ADD COLUMN refresh_empty BIGINT NOT NULL DEFAULT 0;
-- +goose StatementEnd
