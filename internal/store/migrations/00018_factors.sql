-- +goose Up
-- +goose StatementBegin
-- Second factors. A sign-in to an account that has one needs it.
ALTER TABLE users ADD COLUMN has_factor BOOLEAN NOT NULL DEFAULT FALSE;
CREATE TABLE totp (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    confirmed  BOOLEAN NOT NULL, -- a setup that is not confirmed does not count
    sealed     TEXT NOT NULL,    -- AES-256-GCM with a key from the deployment secret, base64
    sealed_by  TEXT NOT NULL,    -- which deployment secret that was
    last_step  BIGINT NOT NULL,  -- of the last code that was accepted; codes up to it are refused
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, confirmed)
);
CREATE TABLE recovery_codes (
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       TEXT NOT NULL,    -- SHA-256 of user and code, base64; a code has 120 random bits
    created_at BIGINT NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (user_id, hash)
);
-- +goose StatementEnd
