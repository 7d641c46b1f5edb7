package mail

import "time"

// Kind names a template. The list is closed.
type Kind string

// The kinds. Those with a link or a code need a Challenge.
const (
	VerifyEmail       Kind = "verify-email"       // link
	ResetPassword     Kind = "reset-password"     // link
	PasswordChanged   Kind = "password-changed"   //
	EmailChange       Kind = "email-change"       // link, to the new address
	EmailChanged      Kind = "email-changed"      // to the old address
	EmailChanging     Kind = "email-changing"     // link that reverts the change, to the old address
	AlreadyRegistered Kind = "already-registered" //
	LoginCode         Kind = "login-code"         // code
	Invitation        Kind = "invitation"         // link
	NewSignIn         Kind = "new-sign-in"        //
	AccountDeletion   Kind = "account-deletion"   //
	PasskeyAdded      Kind = "passkey-added"      //
	PasskeyRemoved    Kind = "passkey-removed"    //
	PasswordRemoved   Kind = "password-removed"   //
	IdentityLinked    Kind = "identity-linked"    //
	IdentityUnlinked  Kind = "identity-unlinked"  //
	FactorChanged     Kind = "factor-changed"     //
	Test              Kind = "test"               // from the command line
)

// reveals is how a kind shows the secret of its challenge.
type reveals int

const (
	nothing reveals = iota
	link
	code
)

// kinds lists all kinds.
var kinds = map[Kind]reveals{
	VerifyEmail:       link,
	ResetPassword:     link,
	PasswordChanged:   nothing,
	EmailChange:       link,
	EmailChanged:      nothing,
	EmailChanging:     link,
	AlreadyRegistered: nothing,
	LoginCode:         code,
	Invitation:        link,
	NewSignIn:         nothing,
	AccountDeletion:   nothing,
	PasskeyAdded:      nothing,
	PasskeyRemoved:    nothing,
	PasswordRemoved:   nothing,
	IdentityLinked:    nothing,
	IdentityUnlinked:  nothing,
	FactorChanged:     nothing,
	Test:              nothing,
}

// Message is a mail before it is made.
type Message struct {
	Kind Kind
	// To is the address, as the user wrote it.
	To string
	// User is the id of the account; empty for none.
	User string
	// Locale is the language of the template (BCP 47); empty for English.
	Locale string
	// Challenge is the id of the single-use secret that the mail reveals; empty for none.
	Challenge string
	// Data is what the template shows, such as name, ip, device and time. It must not contain secrets.
	Data map[string]string
	// Expires is when the mail becomes useless: it is not sent later. The zero time means three days from now.
	Expires time.Time
}

// noticeLife is how long a mail without an expiry is tried.
const noticeLife = 3 * 24 * time.Hour
