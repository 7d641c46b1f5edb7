-- +goose Up
-- What users are found by: "text:" with the lower case of their address, username and name, and "role:"
-- with each of their roles. One index serves every list of users, and a prefix is a range of it.
CREATE TABLE user_terms (
    term    BYTE_TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (term, user_id)
);
CREATE INDEX user_terms_user ON user_terms (user_id);
CREATE INDEX users_disabled ON users ((disabled_at IS NOT NULL), id);
INSERT INTO user_terms (term, user_id)
    SELECT 'text:' || email_key, id FROM users
    UNION SELECT 'text:' || username, id FROM users WHERE username IS NOT NULL
    UNION SELECT 'text:' || lower(name), id FROM users WHERE name <> ''
    UNION SELECT 'role:' || role, id FROM users JOIN (SELECT 'USER' AS role UNION ALL SELECT 'ADMIN') AS known
        ON ' ' || roles || ' ' LIKE '% ' || role || ' %';

-- A folded entry stands for count events of one kind, from at to last_at; fold is what they share, and
-- null for everything else.
ALTER TABLE audit_log ADD COLUMN count BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit_log ADD COLUMN last_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit_log ADD COLUMN fold TEXT;
CREATE UNIQUE INDEX audit_log_fold ON audit_log (fold);
UPDATE audit_log SET last_at = at;
DROP INDEX audit_log_user;
CREATE INDEX audit_log_user ON audit_log (user_id, at, id);
CREATE INDEX audit_log_actor ON audit_log (actor_id, at, id);
CREATE INDEX audit_log_action ON audit_log (action, at, id);
CREATE INDEX audit_log_at ON audit_log (at, id);
CREATE INDEX audit_log_folded ON audit_log (at) WHERE fold IS NOT NULL;
