-- +goose Up
-- Work that one replica does for all: it holds the lease of that name until its end.
CREATE TABLE leases (
    name  TEXT PRIMARY KEY,
    until BIGINT NOT NULL -- microseconds
);
