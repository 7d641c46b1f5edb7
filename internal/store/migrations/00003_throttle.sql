-- +goose Up
-- +goose StatementBegin
-- The generic cell rate algorithm stores one number per bucket: when it is empty again.
CREATE TABLE throttle (
    key   TEXT PRIMARY KEY,   -- HMAC of the counted key
    empty BIGINT NOT NULL     -- microseconds; the theoretical arrival time
);
CREATE INDEX throttle_empty ON throttle (empty);

-- Addresses from which a user has signed in. Others cannot use up the attempts of these addresses.
CREATE TABLE known_addresses (
    key     TEXT PRIMARY KEY, -- HMAC of account and address
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seen_at BIGINT NOT NULL
);
CREATE INDEX known_addresses_user ON known_addresses (user_id);
CREATE INDEX known_addresses_seen ON known_addresses (seen_at);
-- +goose StatementEnd
