-- +goose Up
-- +goose StatementBegin
-- A lease lets one replica do work for all replicas until its end.
CREATE TABLE leases (
    name  TEXT PRIMARY KEY,
    until BIGINT NOT NULL -- microseconds
);
-- +goose StatementEnd
