-- +goose Up
-- +goose StatementBegin
-- Invitations to create an account. The secret of a link is in challenges, with the address as its subject.
CREATE TABLE invitations (
    id          TEXT PRIMARY KEY, -- a UUID of version 7
    email       TEXT NOT NULL,
    email_key   TEXT NOT NULL,
    roles       TEXT NOT NULL,
    message     TEXT NOT NULL,
    invited_by  TEXT NOT NULL,    -- the administrator who sent it last; empty for the command line
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    accepted_at BIGINT,
    revoked_at  BIGINT
);
CREATE UNIQUE INDEX invitations_open ON invitations (email_key) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_invited_by ON invitations (invited_by) WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_email ON invitations (email_key);
CREATE INDEX invitations_expires ON invitations (expires_at);
-- +goose StatementEnd
