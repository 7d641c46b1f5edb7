-- +goose Up
-- The public keys of passkeys (WebAuthn credentials).
CREATE TABLE passkeys (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    site         TEXT NOT NULL,        -- the RP ID that the passkey is bound to
    credential   TEXT NOT NULL UNIQUE, -- the authenticator's id of the passkey, base64url
    public_key   TEXT NOT NULL,        -- COSE, base64url
    name         TEXT NOT NULL,
    model        TEXT NOT NULL,        -- AAGUID of the authenticator
    transports   TEXT NOT NULL,        -- separated by spaces
    syncs        BOOLEAN NOT NULL,     -- may leave its device (flag BE)
    backed_up    BOOLEAN NOT NULL,     -- has left its device (flag BS)
    sign_count   BIGINT NOT NULL,      -- 32 bits without a sign; 0 if the authenticator does not count
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_user ON passkeys (user_id);
