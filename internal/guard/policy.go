package guard

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/token"
)

// The marks, which the SDL defines.
const (
	authMark   = "auth"
	publicMark = "public"
)

// entry is the rule of one field of one concrete type, and its source.
type entry struct {
	rule
	source string // "field", "type", or "unmarked"
	weaker bool   // than the mark of its type
	// yields lists the concrete types of the objects that the field can return. It is empty for scalars.
	yields []string
}

// object is one concrete type: the rule of each field, and the distinct rules among them.
type object struct {
	fields map[string]*entry
	rules  []*rule
	// satisfies lists the type, its interfaces and its unions, for the type conditions of fragments.
	satisfies []string
}

// Policy is the effective rule of every field of every object type of a schema.
type Policy struct {
	types map[string]*object
	// roots maps each kind of operation to its root type. A schema may give root types any name.
	roots map[ast.Operation]string
	// introspection is the rule of __schema and __type; nil keeps them shut.
	introspection *rule
}

// NewPolicy compiles the marks of a schema. Its error lists every mistake: a root field without exactly one mark, a
// mark without effect or meaning, and an implementation with a weaker mark than its interface. introspection is public,
// authenticated, off, or the name of a role. Callers with one of factorRoles can only set up a second factor, and
// prove it, until their session has proved two.
func NewPolicy(schema *ast.Schema, introspection string, factorRoles ...token.Role) (*Policy, error) {
	c := compiler{schema: schema, factorRoles: factorRoles,
		policy: &Policy{types: make(map[string]*object), roots: make(map[ast.Operation]string)}}
	for op, root := range map[ast.Operation]*ast.Definition{
		ast.Query: schema.Query, ast.Mutation: schema.Mutation, ast.Subscription: schema.Subscription} {
		if root != nil {
			c.policy.roots[op] = root.Name
		}
	}
	c.checkRoles("the setting require-mfa", factorRoles)
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		c.compile(schema.Types[name])
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Types)) {
		c.checkInterfaces(schema.Types[name])
	}
	switch introspection {
	case "public":
		c.policy.introspection = &rule{public: true}
	case "authenticated":
		c.policy.introspection = &rule{}
	case "off":
	default:
		role := token.Role(introspection)
		c.checkRoles("the setting introspection", []token.Role{role})
		c.policy.introspection = &rule{roles: []token.Role{role}}
	}
	if len(c.offenders) > 0 {
		slices.Sort(c.offenders)
		return nil, fmt.Errorf("the schema leaves doors open:\n  %s", strings.Join(c.offenders, "\n  "))
	}
	return c.policy, nil
}

type compiler struct {
	schema    *ast.Schema
	policy    *Policy
	offenders []string

	factorRoles []token.Role
}

func (c *compiler) refuse(where, problem string) {
	c.offenders = append(c.offenders, where+": "+problem)
}

func (c *compiler) isRoot(def *ast.Definition) bool {
	return def == c.schema.Query || def == c.schema.Mutation || def == c.schema.Subscription
}

func (c *compiler) compile(def *ast.Definition) {
	onType, marked := c.mark(def.Name, def.Directives)
	if marked && (def.Kind != ast.Object || c.isRoot(def)) {
		c.refuse(def.Name, "a mark here would guard nothing; mark the fields")
	}
	if def.Kind == ast.Interface {
		for _, field := range def.Fields {
			c.mark(def.Name+"."+field.Name, field.Directives) // for its faults; checkInterfaces reads it again
		}
	}
	if def.Kind != ast.Object || strings.HasPrefix(def.Name, "__") {
		return
	}
	entries := make(map[string]*entry, len(def.Fields))
	for _, field := range def.Fields {
		if strings.HasPrefix(field.Name, "__") {
			continue // __schema and __type follow the introspection setting
		}
		where := def.Name + "." + field.Name
		e := &entry{source: "unmarked", yields: c.concrete(field.Type.Name())}
		onField, fieldMarked := c.mark(where, field.Directives)
		switch {
		case fieldMarked:
			e.rule, e.source = onField, "field"
			e.weaker = marked && !onField.atLeastAsStrict(&onType)
		case c.isRoot(def):
			c.refuse(where, "needs @auth or @public")
		case marked:
			e.rule, e.source = onType, "type"
		}
		if e.setup && !c.isRoot(def) {
			c.refuse(where, "setup has no meaning below the root fields")
		}
		e.root, e.factorRoles = c.isRoot(def), c.factorRoles
		if e.owner && c.isRoot(def) {
			c.refuse(where, "owner has no meaning on a root field, which no object has")
		}
		entries[field.Name] = e
	}
	satisfies := []string{def.Name}
	for _, abstract := range c.schema.GetImplements(def) {
		satisfies = append(satisfies, abstract.Name)
	}
	c.policy.types[def.Name] = &object{fields: entries, rules: distinct(entries), satisfies: satisfies}
}

// distinct returns the distinct rules of entries in a stable order.
func distinct(entries map[string]*entry) []*rule {
	rules := make(map[string]*rule)
	for _, e := range entries {
		rules[e.String()] = &e.rule
	}
	var list []*rule
	for _, text := range slices.Sorted(maps.Keys(rules)) {
		list = append(list, rules[text])
	}
	return list
}

// mark reads the mark of a type or field.
func (c *compiler) mark(where string, directives ast.DirectiveList) (rule, bool) {
	auth, public := directives.ForNames(authMark), directives.ForNames(publicMark)
	switch {
	case len(auth)+len(public) == 0:
		return rule{}, false
	case len(auth)+len(public) > 1:
		c.refuse(where, "has more than one mark; one must be enough")
		return rule{}, true
	case len(public) == 1:
		return rule{public: true}, true
	}
	var r rule
	for _, arg := range auth[0].Arguments {
		value, err := arg.Value.Value(nil)
		if err != nil || value == nil {
			c.refuse(where, fmt.Sprintf("@auth has an unusable %s", arg.Name))
			continue
		}
		switch arg.Name {
		case "roles":
			list := arg.Value.Children
			if arg.Value.Kind != ast.ListValue {
				list = ast.ChildValueList{{Value: arg.Value}} // one value stands for a list of it
			}
			for _, child := range list {
				r.roles = append(r.roles, token.Role(child.Value.Raw))
			}
			if len(r.roles) == 0 {
				c.refuse(where, "@auth(roles: []) admits no caller; omit roles to admit every signed-in caller")
			}
			c.checkRoles(where, r.roles)
		case "owner":
			r.owner, _ = value.(bool)
		case "verified":
			r.verified, _ = value.(bool)
		case "mfa":
			r.mfa, _ = value.(bool)
		case "setup":
			r.setup, _ = value.(bool)
		case "maxAge":
			seconds, _ := value.(int64)
			if seconds <= 0 || seconds > math.MaxInt32 {
				c.refuse(where, "@auth(maxAge:) must be a positive number of seconds, and an Int")
			}
			r.maxAge = time.Duration(seconds) * time.Second
		}
	}
	return r, true
}

func (c *compiler) checkRoles(where string, roles []token.Role) {
	enum := c.schema.Types["Role"]
	for _, role := range roles {
		if enum == nil || enum.EnumValues.ForName(string(role)) == nil {
			c.refuse(where, fmt.Sprintf("enum Role has no value %s", role))
		}
	}
}

// checkInterfaces requires the fields of an object to be marked at least as strictly as those of its interfaces. The
// mark of an interface has no effect of its own, and a reader must not believe otherwise.
func (c *compiler) checkInterfaces(def *ast.Definition) {
	if def.Kind != ast.Object {
		return
	}
	for _, name := range def.Interfaces {
		for _, field := range c.schema.Types[name].Fields {
			where := name + "." + field.Name
			wanted, marked := (&compiler{schema: c.schema}).mark(where, field.Directives)
			e := c.policy.types[def.Name].fields[field.Name]
			if marked && e != nil && !e.atLeastAsStrict(&wanted) {
				c.refuse(def.Name+"."+field.Name, fmt.Sprintf("is weaker than %s, which has %s", where, &wanted))
			}
		}
	}
	if c.isRoot(def) && len(def.Interfaces) > 0 {
		c.refuse(def.Name, "a root type must not implement an interface")
	}
}

// MayIntrospect returns an error if the caller that Middleware put into ctx may not read the schema. The error is a
// *fault.Error.
func (p *Policy) MayIntrospect(ctx context.Context, now func() time.Time) error {
	if refusal := p.mayIntrospect(stateAt(ctx, nil), now); refusal != nil {
		return refusal
	}
	return nil
}

func (p *Policy) mayIntrospect(s state, now func() time.Time) *fault.Error {
	if p.introspection == nil {
		return fault.New(fault.Forbidden, fault.IntrospectionDisabled, "introspection is off")
	}
	return p.introspection.judge(s, nil, now)
}

// entry returns the rule of a field, or nil.
func (p *Policy) entry(typeName, fieldName string) *entry {
	if o := p.types[typeName]; o != nil {
		return o.fields[fieldName]
	}
	return nil
}

// concrete returns the object types that a value of the named type can have.
func (c *compiler) concrete(name string) []string {
	def := c.schema.Types[name]
	var names []string
	if def == nil || strings.HasPrefix(name, "__") {
		return nil
	}
	for _, possible := range c.schema.GetPossibleTypes(def) {
		if possible.Kind == ast.Object {
			names = append(names, possible.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Print writes the effective rule of every field as a sorted table. It marks fields that are weaker than their type
// with !.
func (p *Policy) Print(w io.Writer) error {
	type line struct{ field, rule, source string }
	var lines []line
	for typeName, o := range p.types {
		for fieldName, e := range o.fields {
			source := e.source
			if e.weaker {
				source += ", ! weaker than its type"
			}
			lines = append(lines, line{typeName + "." + fieldName, e.String(), source})
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.field, b.field) })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.field, l.rule, l.source)
	}
	return table.Flush()
}
