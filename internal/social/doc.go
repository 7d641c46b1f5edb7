// Package social owns sign-in with other providers: Google, GitHub and any OpenID provider. It owns their settings, the
// way of the browser to a provider and back, and the identities that are linked to accounts.
//
// It promises that a code for CompleteSignIn is only made for an answer that the provider gave to this server, in the
// browser that asked, and that the code is worthless without the verifier of the page that began. A provider that is
// slow, dead or lying costs only the sign-ins with it. It does not know which account an identity signs in to, nor
// whether one may be created: package signin decides that.
//
// The server connects to the addresses that providers announce, also private ones: they come from the operator's
// settings, never from a caller.
package social
