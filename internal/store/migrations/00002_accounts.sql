-- +goose Up
-- +goose StatementBegin
-- Times are microseconds since the Unix epoch, ids are UUIDs (version 7) as text.

CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    email          TEXT NOT NULL,          -- as the user entered it; mail is sent only here
    email_key      TEXT NOT NULL UNIQUE,   -- normalized; used for look-ups
    email_verified BOOLEAN NOT NULL,
    username       TEXT UNIQUE,
    name           TEXT NOT NULL,
    roles          TEXT NOT NULL,          -- separated by single spaces, sorted
    password_hash  TEXT,
    version        BIGINT NOT NULL,        -- authorization version: tokens with a lower one are stale
    disabled_at    BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL
);

CREATE TABLE sessions (
    id              TEXT PRIMARY KEY,
    user_id         TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    salt            TEXT NOT NULL,         -- 128 random bits for the MAC of refresh tokens; not in any API
    generation      BIGINT NOT NULL,       -- of the current refresh token
    seen_generation BIGINT NOT NULL,       -- the highest one presented: the client has that token
    auth_time       BIGINT NOT NULL,       -- when a credential was last proved
    amr             TEXT NOT NULL,         -- methods of authentication (RFC 8176), separated by single spaces
    created_at      BIGINT NOT NULL,
    rotated_at      BIGINT NOT NULL,
    last_seen_at    BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,       -- idle limit, extended by each rotation, at most ends_at
    ends_at         BIGINT NOT NULL,       -- absolute limit
    revoked_at      BIGINT,
    ip              TEXT NOT NULL,
    user_agent      TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_ends ON sessions (ends_at);

-- One row revokes one session, or all of a user's tokens below a version. Rows are deleted after the
-- last access token that they revoke has expired.
CREATE TABLE revocations (
    id            TEXT PRIMARY KEY,
    session_id    TEXT,
    user_id       TEXT,
    below_version BIGINT,
    kept_session  TEXT,                    -- its tokens are only stale: a refresh renews them
    stale         BOOLEAN NOT NULL,        -- all tokens are only stale
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
);
CREATE INDEX revocations_created ON revocations (created_at);
CREATE INDEX revocations_session ON revocations (session_id);
CREATE INDEX revocations_user ON revocations (user_id);
CREATE INDEX revocations_expires ON revocations (expires_at);

CREATE TABLE signing_keys (
    kid          TEXT PRIMARY KEY,         -- RFC 7638 thumbprint
    algorithm    TEXT NOT NULL,
    public_jwk   TEXT NOT NULL,            -- empty for HS256
    sealed       TEXT NOT NULL,            -- AES-256-GCM with a key from the deployment secret, base64
    state        TEXT NOT NULL,            -- next, active, retired or revoked
    created_at   BIGINT NOT NULL,
    activated_at BIGINT,
    retired_at   BIGINT
);
-- At most one key is active and at most one is next, even if replicas act concurrently.
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (state) WHERE state = 'active';
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (state) WHERE state = 'next';

-- Append-only: who did what to whom, from where.
CREATE TABLE audit_log (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    action     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    actor_id   TEXT NOT NULL,              -- empty without a user and for the command line
    user_id    TEXT NOT NULL,              -- the affected user; no foreign key, because entries outlive accounts
    session_id TEXT NOT NULL,
    ip         TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    request_id TEXT NOT NULL,
    detail     TEXT NOT NULL
);
CREATE INDEX audit_log_user ON audit_log (user_id, id);
-- +goose StatementEnd
