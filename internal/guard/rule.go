package guard

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/token"
)

// rule is the requirement of a field. The zero rule requires a signed-in caller.
type rule struct {
	public bool
	roles  []token.Role
	owner  bool
	maxAge time.Duration
	// verified requires a verified e-mail address.
	verified bool
	// mfa requires a session that has proved two factors.
	mfa bool
	// setup admits callers who must set up a second factor first. It has an effect on root fields only.
	setup bool
	// root is whether the field belongs to a root type, and factorRoles are the roles that demand a second factor. The
	// setting makes them, not the mark.
	root        bool
	factorRoles []token.Role
}

// restricted reports whether being signed in is not enough.
func (r *rule) restricted() bool { return len(r.roles) > 0 || r.owner }

// judge returns why s may not read a field of object, or nil. The owner of a type's mark and of a field's mark is the
// same: that of the object that has the field.
func (r *rule) judge(s state, object any, now func() time.Time) *fault.Error {
	switch {
	case r.public:
		return nil
	case s.refusal != nil:
		return s.refusal
	case s.principal == nil:
		return errTokenMissing
	}
	p := s.principal
	if r.root && !r.setup && !p.IsMultiFactor() && slices.ContainsFunc(r.factorRoles, p.HasRole) {
		return factorMissing(p)
	}
	if r.restricted() && !r.admits(p) && !(r.owner && owns(p, object)) {
		return r.forbidden(p)
	}
	if r.verified && !p.EmailVerified {
		e := fault.New(fault.Forbidden, fault.EmailNotVerified, "verify your e-mail address first")
		e.Requires = &fault.Requirement{Verified: true}
		return e
	}
	if r.mfa && !p.IsMultiFactor() {
		return factorMissing(p)
	}
	if r.maxAge > 0 && (now().Sub(p.AuthTime) > r.maxAge || p.HasFactor && !p.IsMultiFactor()) {
		e := fault.New(fault.Forbidden, fault.StepUpRequired, "prove your password again first: this needs a recent proof")
		e.Requires = &fault.Requirement{MaxAge: int(r.maxAge / time.Second)}
		return e
	}
	return nil
}

// admits reports whether p has one of the roles. A role that demands a second factor counts once the session has proved
// it. Otherwise a public root field would open what is below it to such a role.
func (r *rule) admits(p *Principal) bool {
	return slices.ContainsFunc(r.roles, func(role token.Role) bool {
		return p.HasRole(role) && (p.IsMultiFactor() || !slices.Contains(r.factorRoles, role))
	})
}

// factorMissing refuses a session that has not proved two factors. The reason says whether the account has a second
// one.
func factorMissing(p *Principal) *fault.Error {
	e := fault.New(fault.Forbidden, fault.SecondFactorSetupRequired, "set up a second factor first: this needs one")
	if p.HasFactor {
		e = fault.New(fault.Forbidden, fault.SecondFactorRequired, "prove your second factor first: call reauthenticate")
	}
	e.Requires = &fault.Requirement{MFA: true}
	return e
}

func (r *rule) forbidden(p *Principal) *fault.Error {
	if slices.ContainsFunc(r.roles, p.HasRole) {
		return factorMissing(p)
	}
	e := fault.New(fault.Forbidden, fault.RoleRequired, "your roles do not allow this")
	if r.owner {
		e = fault.New(fault.Forbidden, fault.NotOwner, "this belongs to another user")
	}
	e.Requires = &fault.Requirement{MaxAge: int(r.maxAge / time.Second), Verified: r.verified, MFA: r.mfa}
	for _, role := range r.roles {
		e.Requires.Roles = append(e.Requires.Roles, string(role))
	}
	return e
}

// Owned is a value that belongs to a user. Go types bound to a schema type with @auth(owner: true) implement it. A
// value without it has no owner.
type Owned interface{ OwnerID() token.UserID }

func owns(p *Principal, object any) bool {
	owned, ok := as[Owned](object)
	return ok && owned.OwnerID() == p.UserID && p.UserID != ""
}

// as returns object as a T. It looks through the pointers that gqlgen wraps around list elements, and at the methods of
// a pointer to a struct value. A nil object has no methods.
func as[T any](object any) (found T, ok bool) {
	v := reflect.ValueOf(object)
	for v.IsValid() && !isNil(v) {
		if found, ok = v.Interface().(T); ok {
			return found, true
		}
		switch v.Kind() {
		case reflect.Interface:
			v = v.Elem()
		case reflect.Pointer:
			v = v.Elem()
			if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
				return found, false // the pointer had all of its methods
			}
		case reflect.Struct:
			pointer := reflect.New(v.Type())
			pointer.Elem().Set(v)
			found, ok = pointer.Interface().(T)
			return found, ok
		default:
			return found, false
		}
	}
	return found, false
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// atLeastAsStrict reports whether other admits every caller that r admits.
func (r *rule) atLeastAsStrict(other *rule) bool {
	if other.public {
		return true
	}
	if other.verified && !r.verified || other.mfa && !r.mfa || r.setup && !other.setup {
		return false
	}
	if r.public || other.maxAge > 0 && (r.maxAge == 0 || r.maxAge > other.maxAge) {
		return false
	}
	if !other.restricted() {
		return true
	}
	return r.restricted() && (other.owner || !r.owner) &&
		!slices.ContainsFunc(r.roles, func(role token.Role) bool { return !slices.Contains(other.roles, role) })
}

// String returns the rule as its mark.
func (r *rule) String() string {
	if r.public {
		return "@public"
	}
	var args []string
	if len(r.roles) > 0 {
		args = append(args, fmt.Sprintf("roles: %v", r.roles))
	}
	if r.owner {
		args = append(args, "owner: true")
	}
	if r.maxAge > 0 {
		args = append(args, fmt.Sprintf("maxAge: %d", r.maxAge/time.Second))
	}
	if r.verified {
		args = append(args, "verified: true")
	}
	if r.mfa {
		args = append(args, "mfa: true")
	}
	if r.setup {
		args = append(args, "setup: true")
	}
	if len(args) == 0 {
		return "@auth"
	}
	return "@auth(" + strings.Join(args, ", ") + ")"
}
