// Package password owns password hashing: Policy decides which passwords may be set, Breached reads a list of those
// that were breached, Hasher hashes them and compares
// them with stored hashes in a bounded worker pool, and Parse reads the bcrypt, Argon2, scrypt and PBKDF2 hashes that
// well-known frameworks write.
//
// It promises that the cost of a comparison is known and bounded before it starts, that a comparison takes as long for
// an unknown account as for a known one, and that no error contains a password, a pepper or any part of a hash.
// It does not know accounts or databases.
package password
