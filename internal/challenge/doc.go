// Package challenge owns the single-use secrets that prove something later: links in mails, codes that users type, and the
// ceremonies of passkeys.
//
// It promises that a secret is accepted once, however many requests present it at the same time; that neither the table
// nor the deployment's secret alone reveals one; that all refused secrets get the same error; and that a wrong code
// costs an attempt. It does not know mail, nor what a challenge proves.
package challenge
