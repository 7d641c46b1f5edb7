package matrixtest

import (
	"slices"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/token"
)

// marks is what the SDL says of one field. The zero value is an @auth without arguments, which is also
// what an unmarked field of an unmarked type means.
type marks struct {
	public bool
	roles  []token.Role
	owner  bool
	maxAge time.Duration
}

// marks reads the mark of a field, else that of its type.
func (m *Matrix) marks(object, field string) marks {
	def := m.schema.Types[object]
	for _, directives := range []ast.DirectiveList{def.Fields.ForName(field).Directives, def.Directives} {
		if directives.ForName("public") != nil {
			return marks{public: true}
		}
		if auth := directives.ForName("auth"); auth != nil {
			return arguments(auth)
		}
	}
	return marks{}
}

func arguments(auth *ast.Directive) marks {
	var read marks
	if roles := auth.Arguments.ForName("roles"); roles != nil {
		if roles.Value.Kind == ast.EnumValue {
			read.roles = []token.Role{token.Role(roles.Value.Raw)}
		}
		for _, child := range roles.Value.Children {
			read.roles = append(read.roles, token.Role(child.Value.Raw))
		}
	}
	if owner := auth.Arguments.ForName("owner"); owner != nil {
		read.owner = owner.Value.Raw == "true"
	}
	if age := auth.Arguments.ForName("maxAge"); age != nil {
		seconds, _ := strconv.Atoi(age.Value.Raw)
		read.maxAge = time.Duration(seconds) * time.Second
	}
	return read
}

// subject is whom a field is judged by.
type subject struct {
	refusal string // why there is no principal: no token, or an invalid one
	user    token.UserID
	roles   []token.Role
	age     time.Duration // of the last proof of a credential
}

// outcome is what must come of a route: the refusal of the step at, or all is answered.
type outcome struct {
	names   []string // of the steps, as the answer has them
	refused bool
	at      int
	// early means that it is decided before anything runs, and so by the status.
	early   bool
	code    string
	reasons []string
}

// refusal says why s may not read a field with the marks k of an object; owns tells whether it is theirs.
func (k marks) refusal(s subject, owns bool) (code, reason string) {
	if k.public {
		return "", ""
	}
	if s.refusal != "" {
		return "UNAUTHENTICATED", s.refusal
	}
	hasRole := slices.ContainsFunc(k.roles, func(r token.Role) bool { return slices.Contains(s.roles, r) })
	switch {
	case k.owner && !owns && !hasRole:
		return "FORBIDDEN", "NOT_OWNER"
	case !k.owner && len(k.roles) > 0 && !hasRole:
		return "FORBIDDEN", "ROLE_REQUIRED"
	case k.maxAge > 0 && s.age > k.maxAge:
		return "FORBIDDEN", "STEP_UP_REQUIRED"
	}
	return "", ""
}

// expect follows r as s and says where that must end.
func (m *Matrix) expect(r route, s subject) outcome {
	o := outcome{names: make([]string, len(r.steps))}
	for i := range r.steps {
		o.names[i] = m.alias(r, i)
	}
	for i, step := range r.steps {
		if code, reason := m.refusal(step.object, step.field, s); code != "" {
			o.refused, o.at, o.early, o.code, o.reasons = true, i, i == 0 && m.operation(r) != "subscription", code, []string{reason}
			return o
		}
		if step.to == "" {
			continue
		}
		if value := m.signInOf(r, i); value != nil {
			p := value.(signer).Principal()
			s = subject{user: p.UserID, roles: p.Roles, age: m.now().Sub(p.AuthTime)}
		}
		if code, reasons := m.nothingToRead(step.to, s); code != "" {
			o.refused, o.at, o.code, o.reasons = true, i, code, reasons
			return o
		}
	}
	return o
}

func (m *Matrix) refusal(object, field string, s subject) (code, reason string) {
	return m.marks(object, field).refusal(s, m.types.isOwned(object) && s.refusal == "" && s.user == m.owner)
}

// nothingToRead reports, with a reason of one or other field, that s may read no field of the object:
// then it must not even be learned that there is one.
func (m *Matrix) nothingToRead(object string, s subject) (code string, reasons []string) {
	for _, field := range m.schema.Types[object].Fields {
		refused, reason := m.refusal(object, field.Name, s)
		if refused == "" {
			return "", nil
		}
		code, reasons = refused, append(reasons, reason)
	}
	return code, reasons
}
