// Package passkey owns the public keys of passkeys and the ceremonies of WebAuthn that create and use them.
//
// It promises that a response is accepted once, only from an origin of the settings, and only if the device has
// verified its user; and that a passkey whose signature counter goes back, or that stops being backed up by design, is refused
// as a possible copy. It does not know accounts, nor what a passkey may be used for.
package passkey
