// Package session owns sign-ins: their rows, their refresh tokens, their end, and each replica's view of revocations
// in memory.
//
// It promises that one statement decides a rotation, that a lost answer does not sign a user out, that the use of a
// stolen refresh token ends its session, and that a revocation is in force on this replica before the call that made
// it returns. It does not know passwords or GraphQL. From the table users it reads what a token carries: roles,
// version and disabled_at.
package session
