-- +goose Up
-- +goose StatementBegin
-- An administrator requires another password: the current one does not start sessions.
ALTER TABLE users ADD COLUMN password_change_required BOOLEAN NOT NULL DEFAULT FALSE;
-- +goose StatementEnd
