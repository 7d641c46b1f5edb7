// Package web owns HTTP below GraphQL: the server with its time-outs and its stop, listeners and TLS, the address of the
// client behind proxies, web origins, cookies, security headers, request ids and health. It promises that a stop cuts no
// request short that ends within the drain, and that no header of a client is believed that a proxy did not vouch for.
// It does not know GraphQL, accounts or tokens.
package web
