// Package web owns HTTP below GraphQL: the server with its time-outs and its stop, listeners and TLS, the client's
// address behind proxies, web origins, cookies, security headers, request ids and health. It promises that a stop lets
// every request finish that takes no longer than the drain, and that it believes forwarded addresses of trusted proxies
// only. It does not know GraphQL, accounts or tokens.
package web
