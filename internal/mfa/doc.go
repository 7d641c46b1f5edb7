// Package mfa owns second factors: TOTP, recovery codes, and the sign-ins that wait for one of them.
//
// It promises that a code and a recovery code are accepted once, however many requests present them at the same time,
// and that the database alone reveals neither. The caller locks the user's row in the transaction. The package does not
// know passwords, accounts or sessions: whether a factor is demanded is stored with the user.
package mfa
