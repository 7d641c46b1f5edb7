// Package cli owns the command line: its commands, their output and their exit codes.
//
// It promises that an error is one message on standard error, without a secret in it. It supplies the clock, the
// environment and the signals of the process to the packages below.
package cli
