// Package app owns the wiring: it makes every service once, in the order of their dependencies, and runs the background
// work. Services meet nowhere else.
package app
