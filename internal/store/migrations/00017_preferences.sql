-- +goose Up
-- +goose StatementBegin
-- The language of a user's mails, null for the default, and the notices that the user can switch off.
ALTER TABLE users ADD COLUMN locale TEXT;
ALTER TABLE users ADD COLUMN notify_sign_in BOOLEAN NOT NULL DEFAULT TRUE;
-- +goose StatementEnd
