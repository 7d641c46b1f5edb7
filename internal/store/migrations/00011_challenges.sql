-- +goose Up
-- +goose StatementBegin
-- Single-use secrets in mails. A secret is derived from its row and the deployment's secret, and is stored nowhere.
CREATE TABLE challenges (
    id         TEXT PRIMARY KEY, -- 128 random bits
    kind       TEXT NOT NULL,
    user_id    TEXT REFERENCES users (id) ON DELETE CASCADE, -- null without an account
    subject    TEXT NOT NULL,    -- what the secret proves, such as an address
    nonce      TEXT NOT NULL,    -- 128 random bits; not in any API
    payload    TEXT NOT NULL,    -- AES-256-GCM with a key from the deployment secret, base64; may be empty
    attempts   BIGINT NOT NULL,  -- left for a code
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX challenges_user ON challenges (user_id);
CREATE INDEX challenges_subject ON challenges (kind, subject);
CREATE INDEX challenges_expires ON challenges (expires_at);
-- +goose StatementEnd
