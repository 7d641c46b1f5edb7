-- +goose Up
-- +goose StatementBegin
-- Search terms of users: a facet, a colon, and an address, username or name in lower case. The facets are the
-- empty one and "role=R" for each role except USER. Disabled users also have each facet with the prefix "disabled".
CREATE TABLE user_terms (
    term    BYTE_TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (term, user_id)
);
CREATE INDEX user_terms_user ON user_terms (user_id, term);
INSERT INTO user_terms (term, user_id)
    SELECT facet || ':' || text, id FROM (
        SELECT id, email_key AS text FROM users
        UNION SELECT id, username FROM users WHERE username IS NOT NULL
        UNION SELECT id, lower(name) FROM users WHERE name <> ''
        UNION SELECT id, '' FROM users
    ) AS texts JOIN (
        SELECT id AS of, '' AS facet FROM users
        UNION SELECT id, 'disabled' FROM users WHERE disabled_at IS NOT NULL
        UNION SELECT id, 'role=ADMIN' FROM users WHERE ' ' || roles || ' ' LIKE '% ADMIN %'
        UNION SELECT id, 'disabledrole=ADMIN' FROM users WHERE ' ' || roles || ' ' LIKE '% ADMIN %' AND disabled_at IS NOT NULL
    ) AS facets ON of = id
    WHERE facet || text <> '';

-- A folded entry represents count events of one kind, from at to last_at. fold identifies the kind; it is null
-- for other entries.
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
-- +goose StatementEnd
