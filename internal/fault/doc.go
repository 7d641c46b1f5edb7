// Package fault owns the error type whose message callers may read. It does not know HTTP or GraphQL: package graph
// maps a fault to GraphQL extensions, package web to an HTTP status.
//
// Every other error becomes INTERNAL_SERVER_ERROR at the edge, so that a missing mapping discloses nothing.
package fault
