package cli

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/schema"
)

type schemaPolicyCmd struct{}

func (schemaPolicyCmd) Run(e *env) error {
	policy, err := guard.NewPolicy(e.schema, e.config.Introspection)
	if err != nil {
		return err
	}
	return policy.Print(e.out)
}

type schemaCheckCmd struct{}

func (schemaCheckCmd) Run(e *env) error {
	if _, err := guard.NewPolicy(e.schema, e.config.Introspection); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.out, "Every field has an access rule or is @public.")
	return err
}

type schemaPrintCmd struct{}

func (schemaPrintCmd) Run(e *env) error {
	_, err := fmt.Fprint(e.out, schema.Print(e.schema))
	return err
}
