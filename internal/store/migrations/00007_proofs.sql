-- +goose Up
-- Where a reauthentication made the current generation: the auth_time and amr of the one before it, whose refresh
-- token is no proof of the password. Null where a refresh made it.
ALTER TABLE sessions ADD COLUMN prior_auth_time BIGINT;
ALTER TABLE sessions ADD COLUMN prior_amr TEXT;
