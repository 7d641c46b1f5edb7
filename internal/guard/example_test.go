package guard_test

import (
	"fmt"
	"os"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/guard"
)

const directives = `
	directive @auth(roles: [Role!], maxAge: Int, owner: Boolean) on OBJECT | FIELD_DEFINITION
	directive @public on OBJECT | FIELD_DEFINITION
	enum Role { USER ADMIN }
`

// The policy lists who may read each field.
func ExamplePolicy_Print() {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: directives + `
		type Query {
			status: String! @public
			orders: [Order!]! @auth(roles: [ADMIN])
		}
		type Order @auth(owner: true, roles: [ADMIN]) {
			total: Int!
			margin: Int! @auth(roles: [ADMIN], maxAge: 300)
		}
	`})
	policy, err := guard.NewPolicy(schema, "off")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = policy.Print(os.Stdout)
	// Output:
	// Order.margin  @auth(roles: [ADMIN], maxAge: 300)  field
	// Order.total   @auth(roles: [ADMIN], owner: true)  type
	// Query.orders  @auth(roles: [ADMIN])               field
	// Query.status  @public                             field
}

// A root field without a directive is an error, so that forgetting one does not make it public.
func ExampleNewPolicy_unmarked() {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: directives + `type Query { status: String! }`})
	_, err := guard.NewPolicy(schema, "off")
	fmt.Println(err)
	// Output:
	// the schema leaves doors open:
	//   Query.status: needs @auth or @public
}
