package matrixtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/token"
)

// signInAlias starts the alias of a field that signs a user in; the number after it selects the value.
const signInAlias = "signedIn"

// signer and owned are the methods by which the guard recognizes payloads and owned objects.
type (
	signer interface{ Principal() *token.Claims }
	owned  interface{ OwnerID() token.UserID }
)

var (
	signerType = reflect.TypeFor[signer]()
	ownedType  = reflect.TypeFor[owned]()
	userIDType = reflect.TypeFor[token.UserID]()
)

// goTypes contains the Go types of the schema's types.
type goTypes struct {
	resolvers reflect.Type
	of        map[string]reflect.Type // object type → struct
}

// findTypes follows the resolvers' signatures from the root types, as gqlgen binds fields: to a resolver, or else to a
// method or member of the struct with the field's name.
func findTypes(schema *ast.Schema, resolvers any, candidates []any) goTypes {
	g := goTypes{resolvers: reflect.TypeOf(resolvers), of: make(map[string]reflect.Type)}
	seen := make(map[reflect.Type]bool)
	for _, candidate := range candidates {
		t := base(reflect.TypeOf(candidate))
		g.of[nameOf(t)] = t
		g.note(t, seen)
	}
	for changed := true; changed; {
		changed = false
		for _, def := range schema.Types {
			for _, field := range def.Fields {
				to := schema.Types[field.Type.Name()]
				found := g.fieldType(def.Name, field.Name)
				if def.Kind != ast.Object || found == nil || to.IsLeafType() {
					continue
				}
				found = base(found)
				g.note(found, seen)
				if to.Kind == ast.Object && g.of[to.Name] == nil && found.Kind() == reflect.Struct {
					g.of[to.Name], changed = found, true
				}
			}
		}
	}
	byName := func(a, b reflect.Type) int { return cmp.Compare(a.String(), b.String()) }
	for _, t := range slices.SortedFunc(maps.Keys(seen), byName) { // types that only occur behind interfaces
		if name := nameOf(t); schema.Types[name] != nil && schema.Types[name].Kind == ast.Object && g.of[name] == nil {
			g.of[name] = t
		}
	}
	return g
}

// note collects the structs that can be reached from t.
func (g goTypes) note(t reflect.Type, seen map[reflect.Type]bool) {
	t = base(t)
	if t.Kind() != reflect.Struct || seen[t] {
		return
	}
	seen[t] = true
	for _, member := range reflect.VisibleFields(t) {
		if member.IsExported() {
			g.note(member.Type, seen)
		}
	}
}

// nameOf returns the object type of a Go type that occurs behind an interface or union.
func nameOf(t reflect.Type) string {
	if named, ok := reflect.New(t).Interface().(interface{ GraphQLType() string }); ok {
		return named.GraphQLType()
	}
	return t.Name()
}

// base returns the element type, without pointers.
func base(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Chan {
		t = t.Elem()
	}
	return t
}

// fieldType returns the Go type of a field's value, or nil if it is unknown.
func (g goTypes) fieldType(object, field string) reflect.Type {
	if t := g.resolverType(object, field); t != nil {
		return t
	}
	t := g.of[object]
	if t == nil {
		return nil
	}
	if f, ok := method(reflect.PointerTo(t), field); ok && f.NumOut() > 0 {
		return f.Out(0)
	}
	for _, member := range reflect.VisibleFields(t) {
		if sameName(member.Name, field) {
			return member.Type
		}
	}
	return nil
}

// resolverType returns the result type of a field's resolver, or nil without a resolver.
func (g goTypes) resolverType(object, field string) reflect.Type {
	if of, ok := method(g.resolvers, object); ok && of.NumOut() == 1 && of.Out(0).Kind() == reflect.Interface {
		if f, ok := method(of.Out(0), field); ok {
			// A batched resolver takes all objects of a list and returns a value for each.
			isBatch := f.NumIn() > 1 && f.In(1).Kind() == reflect.Slice && base(f.In(1)) == g.of[object]
			if isBatch && f.Out(0).Kind() == reflect.Slice {
				return f.Out(0).Elem()
			}
			return f.Out(0)
		}
	}
	return nil
}

func method(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumMethod() {
		if m := t.Method(i); sameName(m.Name, name) {
			return m.Type, true
		}
	}
	return nil, false
}

func sameName(inGo, inSchema string) bool {
	return strings.EqualFold(inGo, strings.ReplaceAll(inSchema, "_", ""))
}

func (g goTypes) has(object string, iface reflect.Type) bool {
	t := g.of[object]
	return t != nil && reflect.PointerTo(t).Implements(iface)
}

func (g goTypes) signsIn(object string) bool { return g.has(object, signerType) }
func (g goTypes) isOwned(object string) bool { return g.has(object, ownedType) }

// signIn returns the nth value, modulo their number, of an object type that signs a user in; nil if there is no value.
func (m *Matrix) signIn(object string, n int) any {
	var fitting []any
	for _, value := range m.signIns {
		if base(reflect.TypeOf(value)) == m.types.of[object] {
			fitting = append(fitting, value)
		}
	}
	if len(fitting) == 0 {
		return nil
	}
	return fitting[n%len(fitting)]
}

// ExtensionName implements graphql.HandlerExtension.
func (*Matrix) ExtensionName() string { return "Matrix" }

// Validate implements graphql.HandlerExtension.
func (*Matrix) Validate(graphql.ExecutableSchema) error { return nil }

// SkipsLeaves says that InterceptField need not be called for fields without a resolver and without selections.
func (*Matrix) SkipsLeaves() {}

// InterceptField replaces resolvers. It makes m.owner the owner of all objects below them.
func (m *Matrix) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	fc := graphql.GetFieldContext(ctx)
	if strings.HasPrefix(fc.Object, "__") || strings.HasPrefix(fc.Field.Name, "__") {
		return next(ctx)
	}
	var t reflect.Type // stays nil for a member that is an interface
	if fc.IsResolver {
		t = m.types.resolverType(fc.Object, fc.Field.Name)
	} else {
		value, err := next(ctx)
		if err != nil || m.schema.Types[fc.Field.Definition.Type.Name()].IsLeafType() {
			return value, err
		}
		t = reflect.TypeOf(value)
	}
	wanted, err := m.wanted(fc)
	if err != nil {
		return nil, err
	}
	if t == nil || wanted.IsValid() && t.Kind() != reflect.Slice && t.Kind() != reflect.Chan {
		return wanted.Interface(), nil
	}
	return m.fill(t, wanted).Interface(), nil
}

// wanted returns the value that the query selects: one that signs in, by the field's alias, or one of the type in its
// first fragment. It is invalid if any value will do.
func (m *Matrix) wanted(fc *graphql.FieldContext) (reflect.Value, error) {
	object, isFragment := fc.Field.Definition.Type.Name(), false
	if len(fc.Field.Selections) > 0 {
		if fragment, ok := fc.Field.Selections[0].(*ast.InlineFragment); ok {
			object, isFragment = fragment.TypeCondition, true
		}
	}
	if n, ok := strings.CutPrefix(fc.Field.Alias, signInAlias); ok {
		i, err := strconv.Atoi(n)
		return reflect.ValueOf(m.signIn(object, i)), err
	}
	if m.types.signsIn(object) {
		return reflect.Value{}, fmt.Errorf("%s signs in unexpectedly", object)
	}
	if isFragment {
		return m.fill(m.types.of[object], reflect.Value{}).Addr(), nil
	}
	return reflect.Value{}, nil
}

// fill returns a value of type t without nil and zero values, as far as possible, in which every user id is that of the
// owner. Interfaces and values of wanted's type become wanted.
func (m *Matrix) fill(t reflect.Type, wanted reflect.Value) reflect.Value {
	v := reflect.New(t).Elem()
	m.set(v, wanted, nil)
	return v
}

func (m *Matrix) set(v, wanted reflect.Value, within []reflect.Type) {
	if wanted.IsValid() && wanted.Type().AssignableTo(v.Type()) {
		v.Set(wanted)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if slices.Contains(within, v.Type().Elem()) {
			return // a recursive type
		}
		v.Set(reflect.New(v.Type().Elem()))
		m.set(v.Elem(), wanted, within)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		m.set(v.Index(0), wanted, within)
	case reflect.Chan:
		stream := reflect.MakeChan(reflect.ChanOf(reflect.BothDir, v.Type().Elem()), 1)
		event := reflect.New(v.Type().Elem()).Elem()
		m.set(event, wanted, within)
		stream.Send(event)
		stream.Close()
		v.Set(stream)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				m.set(v.Field(i), reflect.Value{}, append(slices.Clone(within), v.Type()))
			}
		}
	case reflect.String:
		v.SetString("text")
		if v.Type() == userIDType {
			v.SetString(string(m.owner))
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	}
}
