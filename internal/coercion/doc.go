// Package coercion owns input coercion: it reads the variables, literals and custom scalars of an operation. It
// promises that a value of the wrong type is a request error that names the value, and that no part of such an
// operation runs. It does not know what the values mean.
package coercion
