-- +goose Up
-- +goose StatementBegin
-- Mails to be sent, and those of the last days.
CREATE TABLE mail (
    id         TEXT PRIMARY KEY,
    message_id TEXT NOT NULL,   -- the same for all attempts
    kind       TEXT NOT NULL,   -- the name of the template
    sealed     TEXT NOT NULL,   -- recipient and data: AES-256-GCM with a key from the deployment secret, base64
    challenge  TEXT NOT NULL,   -- the id of the challenge whose secret the mail reveals; empty for none
    user_id    TEXT NOT NULL,   -- empty for none; no foreign key, because the last mail outlives the account
    locale     TEXT NOT NULL,
    state      TEXT NOT NULL,   -- queued, sent, failed or expired
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL, -- the next attempt; while one is in progress, when another may begin
    last_error TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, -- it is not sent later
    ended_at   BIGINT           -- null while it is queued
);
CREATE INDEX mail_queued ON mail (next_at) WHERE state = 'queued';
CREATE INDEX mail_expires ON mail (expires_at) WHERE state = 'queued';
CREATE INDEX mail_ended ON mail (ended_at);
CREATE INDEX mail_user ON mail (user_id);
-- +goose StatementEnd
