// Package transport owns GraphQL over HTTP: operations and batches by POST and GET, WebSockets, server-sent events and
// multipart subscriptions, and the registry that bounds open streams and ends them. It promises that a request is
// either executed as the client meant it or refused with a code, that no answer repeats a request's body, and that no
// event follows the end of its stream. It does not know accounts, sessions or resolvers: it derives the status from the
// codes of package fault in an answer's errors, and leaves tokens to Authenticate and Check.
package transport
