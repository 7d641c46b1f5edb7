-- +goose Up
-- The generic cell rate algorithm needs one number a bucket: when it will be empty again.
CREATE TABLE throttle (
    key   TEXT PRIMARY KEY,   -- HMAC of what is counted
    empty BIGINT NOT NULL     -- microseconds; the theoretical arrival time
);
CREATE INDEX throttle_empty ON throttle (empty);

-- From where an account's owner has signed in; strangers cannot use up the attempts of such an address.
CREATE TABLE known_addresses (
    key     TEXT PRIMARY KEY, -- HMAC of account and address
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    seen_at BIGINT NOT NULL
);
CREATE INDEX known_addresses_user ON known_addresses (user_id);
CREATE INDEX known_addresses_seen ON known_addresses (seen_at);
