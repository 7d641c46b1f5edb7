// Package audit owns the append-only log of acts on accounts and sessions: who did what to whom, and from where. An
// entry is written in the transaction of the act, so neither exists without the other. It never contains a token, a
// password or a value of a request.
//
// It also promises that refusals, which any client can cause, are folded and bounded in number, and that subscribers
// get each entry, from every replica.
package audit
