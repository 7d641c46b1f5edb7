// Package guard owns authorization: the bearer token of a request, the marks @auth and @public of the schema, and the
// judgement of every field by its mark.
//
// It promises that no caller reads a field that its mark does not admit them to, that a field without a mark is
// closed, and that judging needs no database. Enforcement keys on the concrete type and field: gqlgen skips an
// object's compiled directives if the value is reached through an interface or a union. It does not know how sessions
// start, nor any type of the schema.
package guard
