// Package cli owns the command line: the commands, their output and their exit codes. The clock and the signals of the
// process enter the program here.
package cli
