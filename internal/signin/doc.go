// Package signin owns the ways to sign in. Each flow has a file and ends in Finish, which alone issues tokens for a
// proof.
//
// It promises that an unknown name, a wrong password and a disabled account look and cost the same, and that what was
// proved still holds when the session starts. It does not know GraphQL or HTTP, nor how accounts are stored.
package signin
