package app

import (
	"github.com/graphwarden/graphwarden/graph"
	"github.com/graphwarden/graphwarden/internal/store"
)

// newTeam makes the services of the team's own types. This file and the folder migrations beside it
// are the team's: they do not change upstream.
func newTeam(*store.DB) graph.Team { return graph.Team{} }
