-- +goose Up
-- Users of other providers, linked to accounts.
CREATE TABLE identities (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider     TEXT NOT NULL,   -- its name in the settings when the identity was linked
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,   -- the user's id at the issuer
    email        TEXT NOT NULL,   -- as of the last sign-in; may be empty
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);
