package matrixtest

import (
	"slices"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/token"
)

// marks is the mark of a field in the SDL. The zero value is an @auth without arguments, and an unmarked field of an
// unmarked type.
type marks struct {
	public bool
	roles  []token.Role
	owner  bool
	maxAge time.Duration
	// verified requires a verified address.
	verified bool
	// mfa requires that the session has proved a second factor.
	mfa bool
	// setup admits callers whose roles demand a second factor that their session lacks.
	setup bool
}

// marks returns the mark of a field, or else that of its type.
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
	if verified := auth.Arguments.ForName("verified"); verified != nil {
		read.verified = verified.Value.Raw == "true"
	}
	if mfa := auth.Arguments.ForName("mfa"); mfa != nil {
		read.mfa = mfa.Value.Raw == "true"
	}
	if setup := auth.Arguments.ForName("setup"); setup != nil {
		read.setup = setup.Value.Raw == "true"
	}
	if age := auth.Arguments.ForName("maxAge"); age != nil {
		seconds, _ := strconv.Atoi(age.Value.Raw)
		read.maxAge = time.Duration(seconds) * time.Second
	}
	return read
}

// subject is the caller by whom a field is judged.
type subject struct {
	refusal string // why there is no principal: the token is missing or invalid
	user    token.UserID
	roles   []token.Role
	age     time.Duration // of the last proof of a credential
	// verified is whether the caller's address is verified.
	verified bool
	// factor is whether the account has a second factor, and proved whether the session has proved it.
	factor, proved bool
}

// without returns the reason of a refusal for the lack of a second factor.
func (s subject) without() string {
	if s.factor {
		return "SECOND_FACTOR_REQUIRED"
	}
	return "SECOND_FACTOR_SETUP_REQUIRED"
}

// outcome is the expected result of a route: the refusal of one step, or a complete answer.
type outcome struct {
	names   []string // of the steps in the answer
	refused bool
	at      int // the index of the refused step
	// early means that the refusal comes before any resolver runs, and so sets the status.
	early   bool
	code    string
	reasons []string
}

// refusal returns why s may not read a field with the marks k, or empty strings. owns reports whether s owns the
// object, isRoot whether the field is a root field. The roles demanding demand a second factor.
func (k marks) refusal(s subject, owns, isRoot bool, demanding []token.Role) (code, reason string) {
	if k.public {
		return "", ""
	}
	if s.refusal != "" {
		return "UNAUTHENTICATED", s.refusal
	}
	var hasRole, lacksFactor, isDemanded bool
	for _, r := range s.roles {
		demanded := slices.Contains(demanding, r) && !s.proved
		isDemanded = isDemanded || demanded
		if slices.Contains(k.roles, r) {
			hasRole, lacksFactor = hasRole || !demanded, lacksFactor || demanded
		}
	}
	switch {
	case isRoot && isDemanded && !k.setup, len(k.roles) > 0 && !hasRole && lacksFactor && !(k.owner && owns):
		return "FORBIDDEN", s.without()
	case k.owner && !owns && !hasRole:
		return "FORBIDDEN", "NOT_OWNER"
	case !k.owner && len(k.roles) > 0 && !hasRole:
		return "FORBIDDEN", "ROLE_REQUIRED"
	case k.verified && !s.verified:
		return "FORBIDDEN", "EMAIL_NOT_VERIFIED"
	case k.mfa && !s.proved:
		return "FORBIDDEN", s.without()
	case k.maxAge > 0 && (s.age > k.maxAge || s.factor && !s.proved):
		return "FORBIDDEN", "STEP_UP_REQUIRED"
	}
	return "", ""
}

// expect returns the expected outcome of r for the caller s.
func (m *Matrix) expect(r route, s subject) outcome {
	o := outcome{names: make([]string, len(r.steps))}
	for i := range r.steps {
		o.names[i] = m.alias(r, i)
	}
	for i, step := range r.steps {
		if code, reason := m.refusal(step.object, step.field, s); code != "" {
			o.refused, o.at, o.code, o.reasons = true, i, code, []string{reason}
			o.early = i == 0 && m.operation(r) != "subscription"
			return o
		}
		if step.to == "" {
			continue
		}
		if value := m.signInOf(r, i); value != nil {
			p := value.(signer).Principal()
			s = subject{user: p.UserID, roles: p.Roles, age: m.now().Sub(p.AuthTime), verified: p.EmailVerified,
				factor: p.HasFactor, proved: slices.Contains(p.Methods, "mfa")}
		}
		if code, reasons := m.nothingToRead(step.to, s); code != "" {
			o.refused, o.at, o.code, o.reasons = true, i, code, reasons
			return o
		}
	}
	return o
}

func (m *Matrix) refusal(object, field string, s subject) (code, reason string) {
	owns := m.types.isOwned(object) && s.refusal == "" && s.user == m.owner
	return m.marks(object, field).refusal(s, owns, m.isRoot(object), m.demanding)
}

// nothingToRead returns a refusal, with the reasons of all fields, if s may read no field of the object. Then s must
// not even learn that the object exists.
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
