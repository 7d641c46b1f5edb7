package team

import (
	"embed"
	"io/fs"

	"github.com/graphwarden/graphwarden/internal/store"
)

//go:embed migrations
var files embed.FS

// Migrations returns the migrations of the team's tables. They run after Graphwarden's own.
func Migrations() store.Migrations {
	migrations, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // only for a malformed path
	}
	return store.Migrations{Table: "team_migrations", Files: migrations}
}
