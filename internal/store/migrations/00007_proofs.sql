-- +goose Up
-- +goose StatementBegin
-- If a reauthentication created the current generation: the auth_time and amr of the previous generation, whose
-- refresh token does not prove the password. Null if a refresh created it.
ALTER TABLE sessions ADD COLUMN prior_auth_time BIGINT;
ALTER TABLE sessions ADD COLUMN prior_amr TEXT;
-- +goose StatementEnd
