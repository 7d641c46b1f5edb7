package graph_test

import (
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/graph"
)

// A team's own scalar may repeat what it refuses, so that the cause must not be logged.
func TestSensitiveArgumentsAreFoundHoweverDeep(t *testing.T) {
	t.Parallel()
	s := gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @sensitive on INPUT_FIELD_DEFINITION | ARGUMENT_DEFINITION | FIELD_DEFINITION
		scalar Password
		input Proof { password: Password! @sensitive }
		input Deep { again: Deep proofs: [[Proof!]!] }
		input Plain { again: Plain name: String password: Password }
		type Query {
			argument(password: Password! @sensitive): Int  input(in: Proof): Int  second(name: String, in: Proof!): Int  deep(in: [Deep!]!): Int
			none: Int  plain(in: Plain!, password: Password): Int  output(name: String): Int @sensitive
		}`})
	for name, want := range map[string]bool{"argument": true, "input": true, "second": true, "deep": true, "none": false, "plain": false, "output": false} {
		if got := graph.TakesSensitive(s, s.Query.Fields.ForName(name).Arguments); got != want {
			t.Errorf("%s: %t, want %t", name, got, want)
		}
	}
}
