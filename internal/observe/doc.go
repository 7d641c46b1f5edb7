// Package observe owns the metrics registry and the HTTP listener that Prometheus scrapes. It does not know what the
// metrics mean: package app registers them. Label values are constants of the program, so that no label holds a user,
// a token, an address or other input.
package observe
