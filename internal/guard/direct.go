package guard

import (
	"bytes"
	"context"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// maxDirect bounds the fields of one object that is written directly, because their aliases are compared pairwise.
	maxDirect = 64
	// maxBeside bounds the objects of a list whose other fields run at the same time, as worker_limit in gqlgen.yml does.
	maxBeside = 1000
	// usualSize is the usual size of a field in an answer, in bytes.
	usualSize = 48
)

// Fields are the fields of each object type, by the names of type and field. Generated code provides them.
type Fields map[string]map[string]Field

// Field is a field of an object type: either a leaf, or resolved. object is a pointer to the Go value.
type Field struct {
	// Leaf writes the value of a plain member or method. It returns false for an invalid null.
	Leaf func(w io.Writer, object any) bool
	// Resolve runs any other field through gqlgen, with all interceptors.
	Resolve func(ctx context.Context, field graphql.CollectedField, object any) graphql.Marshaler
	// Concurrent means that gqlgen runs Resolve at the same time as that of other fields.
	Concurrent bool
}

// direct writes an object, or a list of objects, if s may read all selected leaves. gqlgen spends about ten allocations
// on each field, whether or not it has a resolver. The other fields of the objects run through gqlgen.
//
// In any other case, such as a refusal, an invalid null or a panic, direct returns value itself. Then gqlgen runs every
// field, and reports what is wrong. This is safe because only leaves have run, which have no effects.
func (g *Extension) direct(ctx context.Context, fc *graphql.FieldContext, s state, value any) any {
	t := fc.Field.Definition.Type
	w := writer{typeName: t.Name(), now: g.now}
	fields := g.fields[w.typeName]
	// The other fields would lack what a directive or another interceptor adds to the context.
	if fields == nil || !onlyHas(fc.Field.Definition.Directives, authMark, publicMark, "deprecated") {
		return value
	}
	if !w.choose(graphql.GetOperationContext(ctx), fc.Field.Selections, g.policy.types[w.typeName], fields) ||
		!w.writeAll(s, reflect.ValueOf(value), t) {
		return value
	}
	fc.Result = value // the parent of the fields that run now
	return w.resolveAll(ctx, t)
}

func onlyHas(directives ast.DirectiveList, names ...string) bool {
	return !slices.ContainsFunc(directives, func(d *ast.Directive) bool { return !slices.Contains(names, d.Name) })
}

// writer writes the objects that one field returns.
type writer struct {
	typeName string
	now      func() time.Time
	fields   []chosen
	resolved int  // the number of fields that are resolved
	judged   bool // whether an object has been written
	objects  []written
	text     bytes.Buffer
}

// chosen is a selected field. Without Leaf and Resolve, it is __typename.
type chosen struct {
	Field
	selected   *ast.Field
	selections ast.SelectionSet
	rule       *rule // of a leaf
}

// written is the text of an object without the values of its resolved fields, which belong at the offsets holes.
type written struct {
	object any
	text   []byte
	holes  []int
	values []graphql.Marshaler
}

// MarshalGQL implements graphql.Marshaler.
func (o *written) MarshalGQL(w io.Writer) {
	from := 0
	for i, value := range o.values {
		_, _ = w.Write(o.text[from:o.holes[i]])
		value.MarshalGQL(w)
		from = o.holes[i]
	}
	_, _ = w.Write(o.text[from:])
}

// choose reads a selection set. It reports whether the objects should be written directly.
func (w *writer) choose(op *graphql.OperationContext, set ast.SelectionSet, o *object, fields map[string]Field) bool {
	concurrent := 0
	add := func(selected *ast.Field, selections ast.SelectionSet) bool {
		c := chosen{Field: fields[selected.Name], selected: selected, selections: selections}
		switch {
		case len(w.fields) == maxDirect, !onlyHas(selected.Directives, "skip", "include"):
			return false
		case slices.ContainsFunc(w.fields, func(other chosen) bool { return other.selected.Alias == selected.Alias }):
			return false
		case c.Leaf != nil:
			e := o.fields[selected.Name]
			if e == nil {
				return false
			}
			c.rule = &e.rule
		case c.Resolve != nil:
			w.resolved++
			if c.Concurrent {
				concurrent++
			}
		case selected.Name != "__typename":
			return false
		}
		w.fields = append(w.fields, c)
		return true
	}
	if isSimple(set) {
		w.fields = make([]chosen, 0, min(len(set), maxDirect))
		for _, one := range set {
			if field := one.(*ast.Field); !add(field, field.SelectionSet) {
				return false
			}
		}
	} else {
		for _, field := range graphql.CollectFields(op, set, o.satisfies) {
			if field.IsDeferred() || !add(field.Field, field.Selections) {
				return false
			}
		}
	}
	return w.resolved < len(w.fields) && concurrent <= 1
}

// isSimple reports whether set has only fields, all of them included.
func isSimple(set ast.SelectionSet) bool {
	return !slices.ContainsFunc(set, func(s ast.Selection) bool {
		field, ok := s.(*ast.Field)
		return !ok || len(field.Directives) > 0
	})
}

// writeAll writes the leaves of all objects. It returns false if gqlgen must run them.
func (w *writer) writeAll(s state, v reflect.Value, t *ast.Type) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false // gqlgen will panic likewise, and report it
		}
	}()
	w.text.Grow(usualSize * len(w.fields))
	if t.Elem == nil {
		return w.write(s, v)
	}
	if t.Elem.Elem != nil || v.Kind() != reflect.Slice || v.Len() == 0 {
		return false
	}
	w.text.WriteByte('[')
	for i := range v.Len() {
		if i == 1 {
			w.text.Grow((v.Len() - 1) * w.text.Len())
		}
		if i > 0 {
			w.text.WriteByte(',')
		}
		item := v.Index(i)
		if isNil(item) && !t.Elem.NonNull {
			w.text.WriteString("null")
			w.objects = append(w.objects, written{})
		} else if !w.write(s, item) {
			return false
		}
	}
	w.text.WriteByte(']')
	return true
}

// write writes the leaves of one object.
func (w *writer) write(s state, v reflect.Value) bool {
	object := pointerTo(v)
	if object == nil {
		return false
	}
	signed, signs := object.(signer)
	if signs {
		s = state{principal: signed.Principal()}
	}
	o := written{object: object}
	begin := w.text.Len()
	w.text.WriteByte('{')
	for i := range w.fields {
		c := &w.fields[i]
		if i > 0 {
			w.text.WriteByte(',')
		}
		w.text.WriteByte('"')
		w.text.WriteString(c.selected.Alias)
		w.text.WriteString(`":`)
		switch {
		case c.Resolve != nil:
			o.holes = append(o.holes, w.text.Len()-begin)
		case c.Leaf == nil:
			w.text.WriteByte('"')
			w.text.WriteString(w.typeName)
			w.text.WriteByte('"')
		// Without an owner, the rule gives the same result for all objects of a list.
		case (!w.judged || signs || c.rule.owner) && c.rule.judge(s, object, w.now) != nil:
			return false
		case !c.Leaf(&w.text, object):
			return false
		}
	}
	w.text.WriteByte('}')
	w.judged = true
	if w.resolved > 0 {
		o.text = slices.Clone(w.text.Bytes()[begin:])
		w.objects = append(w.objects, o)
	}
	return true
}

// pointerTo returns a pointer to the struct that v is or points to, or nil.
func pointerTo(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return v.Interface()
	case v.Kind() != reflect.Struct:
		return nil
	case v.CanAddr():
		return v.Addr().Interface()
	}
	pointer := reflect.New(v.Type())
	pointer.Elem().Set(v)
	return pointer.Interface()
}

// resolveAll runs the other fields of the objects, and returns the answer of a field of type t.
func (w *writer) resolveAll(ctx context.Context, t *ast.Type) graphql.Marshaler {
	switch {
	case w.resolved == 0:
		return &written{text: w.text.Bytes()}
	case t.Elem == nil:
		return w.resolve(ctx, &w.objects[0])
	}
	list := graphql.MarshalSliceConcurrently(ctx, len(w.objects), maxBeside, false,
		func(ctx context.Context, i int) graphql.Marshaler {
			graphql.GetFieldContext(ctx).Result = w.objects[i].object
			return w.resolve(ctx, &w.objects[i])
		})
	isNull := func(m graphql.Marshaler) bool { return m == graphql.Null }
	if t.Elem.NonNull && slices.ContainsFunc(list, isNull) {
		return graphql.Null
	}
	return list
}

// resolve runs the other fields of one object. It returns null if one of them has an invalid null.
func (w *writer) resolve(ctx context.Context, o *written) graphql.Marshaler {
	if o.object == nil {
		return graphql.Null
	}
	invalid := false
	for _, c := range w.fields {
		if c.Resolve == nil {
			continue
		}
		field := graphql.CollectedField{Field: c.selected, Selections: c.selections, IsNonDeferrable: true}
		value := c.Resolve(ctx, field, o.object)
		invalid = invalid || isInvalid(value, c.selected.Definition)
		o.values = append(o.values, value)
	}
	if invalid {
		return graphql.Null
	}
	return o
}
