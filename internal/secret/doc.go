// Package secret owns the secret of a deployment and every key derived from it. It promises that two purposes never
// share a key, and that formatting or logging a Secret does not print it.
package secret
