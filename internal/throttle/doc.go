// Package throttle owns rate limits: buckets in the shared database, so that replicas agree. Attempts are taken before
// the work that they limit.
//
// It promises that concurrent attempts never exceed a bucket, that a refused attempt takes nothing, and that strangers
// cannot keep the owner of an account out of an address from which they have signed in. Keys are stored as HMACs only.
// It does not know passwords.
package throttle
