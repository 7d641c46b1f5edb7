package userfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/token"
)

// The fields of an account. canonical lists their names in other systems.
const (
	fieldID           = "id"
	fieldForeignID    = "foreign id"
	fieldEmail        = "email"
	fieldVerified     = "verified"
	fieldVerifiedAt   = "verified at"
	fieldUsername     = "username"
	fieldName         = "name"
	fieldLocale       = "locale"
	fieldGiven        = "given name"
	fieldFamily       = "family name"
	fieldHash         = "hash"
	fieldSalt         = "salt"
	fieldCredentials  = "credentials"
	fieldRoles        = "roles"
	fieldCreated      = "created"
	fieldDisabled     = "disabled"
	fieldDisabledAt   = "disabled at"
	fieldEnabled      = "enabled"
	fieldSecondFactor = "second factor"
	fieldNone         = "none"
)

// canonical returns the field for a name, or "" for an unknown name. Fields of fieldNone are skipped, because they
// grant no rights and protect nothing.
func canonical(name string) string {
	if strings.HasPrefix(name, "_") {
		return fieldNone // fields of the database, such as MongoDB's _id and __v
	}
	switch fold(name) {
	case "id", "uuid":
		return fieldID
	case "userid", "localid", "uid", "sub":
		return fieldForeignID
	case "email", "mail", "emailaddress":
		return fieldEmail
	case "emailverified", "emailconfirmed", "isemailverified":
		return fieldVerified
	case "emailverifiedat", "emailconfirmedat":
		return fieldVerifiedAt
	case "username", "login":
		return fieldUsername
	case "name", "displayname", "fullname":
		return fieldName
	case "locale":
		return fieldLocale
	case "firstname", "givenname":
		return fieldGiven
	case "lastname", "familyname", "surname":
		return fieldFamily
	case "passwordhash", "password", "hash", "encryptedpassword", "hashedpassword", "passworddigest":
		return fieldHash
	case "salt":
		return fieldSalt
	case "credentials":
		return fieldCredentials
	case "roles", "role":
		return fieldRoles
	case "createdat", "created", "createdtimestamp", "creationtime", "datejoined", "registeredat":
		return fieldCreated
	case "disabled", "blocked", "banned", "suspended", "isdisabled", "isblocked", "isbanned", "issuspended":
		return fieldDisabled
	case "disabledat", "deletedat", "banneduntil", "lockedat", "suspendedat":
		return fieldDisabledAt
	case "enabled", "active", "isenabled", "isactive":
		return fieldEnabled
	case "totp", "twofactorenabled", "twofactorsecret", "twofactorrecoverycodes", "twofactorconfirmedat",
		"mfaenabled", "mfainfo", "multifactor", "otprequiredforlogin", "otpsecret":
		return fieldSecondFactor
	}
	return harmless(fold(name))
}

// harmless returns fieldNone for fields of Auth0, Firebase, Supabase, Keycloak, Django, ASP.NET, Laravel and Devise
// that can be skipped.
func harmless(folded string) string {
	switch folded {
	case "updatedat", "lastlogin", "lastloginat", "lastip", "loginscount", "lastsigninat", "lastsignedinat",
		"signincount", "currentsigninat", "currentsigninip", "lastsigninip", "lastrefreshat", "passwordsetdate",
		"passwordupdatedat", "validsince", "picture", "photourl", "avatar", "avatarurl", "nickname",
		"zoneinfo", "phone", "phonenumber", "phonenumberconfirmed", "phoneverified", "phoneconfirmedat", "tenant",
		"tenantid", "connection", "identities", "provideruserinfo", "lastupdatedat", "usermetadata", "appmetadata",
		"rawusermetadata", "rawappmetadata", "instanceid", "aud", "isssouser", "isanonymous", "confirmedat",
		"normalizedusername", "normalizedemail", "securitystamp", "concurrencystamp", "lockoutenabled", "accessfailedcount",
		"isstaff", "issuperuser", "issuperadmin", "notbefore", "disableablecredentialtypes", "origin", "attributes",
		"confirmationtoken", "confirmationsentat", "recoverytoken", "recoverysentat", "remembertoken", "remembercreatedat",
		"resetpasswordtoken", "resetpasswordsentat", "invitedat", "reauthenticationtoken", "reauthenticationsentat",
		"emailchange", "emailchangetokennew", "emailchangetokencurrent", "emailchangesentat", "emailchangeconfirmstatus",
		"phonechange", "phonechangetoken", "phonechangesentat", "customattributes", "unconfirmedemail", "failedattempts",
		"unlocktoken":
		return fieldNone
	}
	return ""
}

// fold removes case and separators from a name, so that password_hash, passwordHash and Password Hash are equal.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.TrimSpace(name)))
}

var (
	errField    = errors.New("unknown field: rename it, or skip it with --ignore")
	errTwice    = errors.New("two fields have different values for this: skip one of them with --ignore")
	errText     = errors.New("this is not a string")
	errEncoding = errors.New("this is not UTF-8")
	errBool     = errors.New("this is neither true nor false")
	errTime     = errors.New("this is not a time in RFC 3339 or a Unix time")
	errFuture   = errors.New("this time is in the future")
	errID       = errors.New("an id must be a UUID: skip the field with --ignore, and the account gets a new id")
	errFactor   = errors.New("the account has a second factor, which cannot be imported: skip the field with --ignore")
)

// set stores a field. It treats null, empty strings and empty lists as absent.
func (e *Entry) set(name string, v any) error {
	if isNothing(v) {
		return nil
	}
	switch canonical(name) {
	case fieldID:
		return e.setID(v)
	case fieldForeignID:
		if s, err := text(v); err == nil && uuid.Validate(s) == nil {
			return e.setID(v)
		}
		return nil
	case fieldEmail:
		return put(&e.Email, v)
	case fieldVerified:
		return either(&e.EmailVerified, v, true)
	case fieldVerifiedAt:
		e.EmailVerified = true
		return nil
	case fieldUsername:
		return put(&e.Username, v)
	case fieldName:
		return put(&e.Name, v)
	case fieldGiven:
		return put(&e.given, v)
	case fieldFamily:
		return put(&e.family, v)
	case fieldHash:
		return put(&e.PasswordHash, v)
	}
	return e.setMore(name, v)
}

func (e *Entry) setMore(name string, v any) error {
	switch canonical(name) {
	case fieldLocale:
		e.Locale, _ = text(v)
		return nil
	case fieldSalt:
		return put(&e.salt, v)
	case fieldCredentials:
		return e.setCredentials(v)
	case fieldRoles:
		return e.addRoles(v)
	case fieldCreated:
		return e.setCreated(v)
	case fieldDisabled:
		return either(&e.Disabled, v, true)
	case fieldDisabledAt:
		e.Disabled = true
		return nil
	case fieldEnabled:
		return either(&e.Disabled, v, false)
	case fieldSecondFactor:
		return refuseFactor(v)
	case fieldNone:
		return nil
	}
	return errField
}

// finish completes an entry after all fields are set.
func (e *Entry) finish(o Options) error {
	if e.Name == "" {
		e.Name = strings.TrimSpace(e.given + " " + e.family)
	}
	const zones = 24 * time.Hour // a time without a zone may be off by that
	if !o.Now.IsZero() && e.CreatedAt.After(o.Now.Add(zones)) {
		return fmt.Errorf("the time of creation: %w", errFuture)
	}
	if e.salt == "" || e.PasswordHash == "" {
		return nil
	}
	if o.Firebase == nil {
		return errors.New("the hash has a separate salt: for an export from Firebase, give --firebase-hash-config")
	}
	e.PasswordHash = o.Firebase.hash(e.salt, e.PasswordHash)
	return nil
}

func (e *Entry) setID(v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 {
		return errID
	}
	return put(&e.ID, id.String())
}

func (e *Entry) addRoles(v any) error {
	list, ok := v.([]any)
	if !ok {
		s, err := text(v)
		if err != nil {
			return err
		}
		for _, role := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;|", r) }) {
			e.Roles = append(e.Roles, token.Role(role))
		}
		return nil
	}
	for _, one := range list {
		role, err := text(one)
		if err != nil {
			return err
		}
		e.Roles = append(e.Roles, token.Role(role))
	}
	return nil
}

func (e *Entry) setCreated(v any) error {
	if dated, ok := v.(map[string]any); ok { // MongoDB's extended JSON
		v = dated["$date"]
	}
	s, err := text(v)
	if err != nil {
		return err
	}
	at, ok := parseTime(s)
	if !ok {
		return errTime
	}
	if !e.CreatedAt.IsZero() && !e.CreatedAt.Equal(at) {
		return errTwice
	}
	e.CreatedAt = at
	return nil
}

// parseTime parses RFC 3339, the formats of databases, and Unix times. It distinguishes seconds, milliseconds and
// microseconds by their size. A time without a zone is UTC.
func parseTime(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n < 0:
			return time.Time{}, false
		case n < 1e11:
			return time.Unix(n, 0), true
		case n < 1e14:
			return time.UnixMilli(n), true
		}
		return time.UnixMicro(n), n < 1e17
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z07", "2006-01-02T15:04:05Z0700",
		"2006-01-02 15:04:05Z0700", "2006-01-02T15:04:05", time.DateTime, time.DateOnly,
	} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, at.Unix() > 0
		}
	}
	return time.Time{}, false
}

// refuseFactor returns an error if the account has a second factor. Importing it would remove that protection.
func refuseFactor(v any) error {
	if has, err := boolean(v); err == nil && !has {
		return nil
	}
	return errFactor
}

func isNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case cell:
		return v == "" || v == `\N` // NULL in exports of MySQL and Postgres
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func text(v any) (string, error) {
	s := ""
	switch v := v.(type) {
	case string:
		s = v
	case cell:
		s = string(v)
	case json.Number:
		s = v.String()
	default:
		return "", errText
	}
	if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
		return "", errEncoding
	}
	return s, nil
}

func put(dst *string, v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	if *dst != "" && *dst != s {
		return errTwice
	}
	*dst = s
	return nil
}

// either sets dst to true if v equals want.
func either(dst *bool, v any, want bool) error {
	got, err := boolean(v)
	*dst = *dst || err == nil && got == want
	return err
}

// boolean parses a JSON boolean, 0 or 1, or the words that databases and spreadsheets write in CSV.
func boolean(v any) (bool, error) {
	word := ""
	switch v := v.(type) {
	case bool:
		return v, nil
	case json.Number:
		word = v.String()
	case cell:
		word = strings.ToLower(strings.TrimSpace(string(v)))
	}
	switch word {
	case "1", "true", "t", "yes", "y":
		return true, nil
	case "0", "false", "f", "no", "n":
		return false, nil
	}
	return false, errBool
}

// Printable quotes a name for a message. It hides other text, which may be a hash in the wrong column.
func Printable(name string) string {
	const usual = "_- .0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(name) > 30 || strings.Trim(name, usual) != "" {
		return "(not a name)"
	}
	return strconv.Quote(name)
}
