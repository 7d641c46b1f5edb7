// Package team owns what a team adds to Graphwarden: the services of its own types, and the migrations of their tables.
// The team edits team.go and the folder migrations, which never change upstream.
package team
