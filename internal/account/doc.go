// Package account owns users: their identity and profile, registration, roles, and their end.
//
// It promises that a change that takes rights away is in force with its commit, and that the last administrator
// cannot be removed. It stores password hashes for package signin, which proves passwords. It does not know GraphQL
// or HTTP.
package account
