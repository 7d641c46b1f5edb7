package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/web"
)

// presenter returns the function that converts every error of a request for the client. An error without a fault
// becomes INTERNAL_SERVER_ERROR with only the request's id, and its cause is logged.
func presenter(log *slog.Logger) graphql.ErrorPresenterFunc {
	return func(ctx context.Context, err error) *gqlerror.Error {
		shown := &gqlerror.Error{Path: graphql.GetPath(ctx)}
		if given, ok := errors.AsType[*gqlerror.Error](err); ok {
			shown.Locations = given.Locations
			if given.Path != nil {
				shown.Path = shortened(given.Path)
			}
		}
		f := classify(err)
		if usedUp := fault.As(context.Cause(ctx)); usedUp != nil && f.Reason == fault.TimedOut {
			f = usedUp.Because(f.Err)
		}
		shown.Message = f.Message
		shown.Extensions = extensions(f)
		if id := web.RequestFrom(ctx).ID; id != "" {
			shown.Extensions["requestId"] = id
		}
		record(ctx, log, f, shown)
		return shown
	}
}

// classify returns the fault in err, or the fault that err corresponds to.
func classify(err error) *fault.Error {
	if f := fault.As(err); f != nil && f.Code != fault.Internal {
		return f
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fault.Busy(fault.TimedOut, "this took too long", time.Second).Because(err)
	}
	if given, ok := errors.AsType[*gqlerror.Error](err); ok {
		switch code := given.Extensions["code"]; code {
		case errcode.ParseFailed:
			return fault.New(fault.ParseFailed, "", withoutValues(given.Message))
		case errcode.ValidationFailed:
			return fault.New(fault.ValidationFailed, "", withoutValues(given.Message))
		}
	}
	if f := fault.As(err); f != nil && f.Err != nil {
		err = f.Err // the log would not see it inside a *gqlerror.Error
	}
	return fault.Unexpected(err)
}

// quotation matches where a message of the parser or the validator quotes the document or a variable.
var quotation = regexp.MustCompile(`(?s)` +
	`(, found \w+ |^Expected value of type .*?, found |value: |sequence: |^Unexpected \w+ ).*|` +
	`^.*( is not a valid )|` +
	`^(Value ").*(" does not exist)`)

// maxMessage bounds a message that repeats names of the document, and each name in a path, in bytes.
const maxMessage = 300

// maxName bounds an operation's name in the log, in bytes.
const maxName = 100

// maxQuoting bounds a message that is searched for quotations, in bytes. The search takes time that grows with the
// length, and the message cannot be cut first: the text that identifies a quotation may follow it.
const maxQuoting = 4 << 10

// withoutValues removes quotations from a message, because a query can have a password in it, and shortens the rest,
// because a name can be as long as the document.
func withoutValues(message string) string {
	if len(message) > maxQuoting {
		return "the operation does not match the schema, at a place too long to quote"
	}
	message = quotation.ReplaceAllString(message, "${1}${3}…${2}${4}")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// shortened cuts the names in a path: the names of a variable's fields can be as long as a request.
func shortened(path ast.Path) ast.Path {
	path = slices.Clone(path)
	for i, element := range path {
		if name, ok := element.(ast.PathName); ok && len(name) > maxMessage {
			path[i] = ast.PathName(strings.ToValidUTF8(string(name[:maxMessage]), "") + "…")
		}
	}
	return path
}

func extensions(f *fault.Error) map[string]any {
	e := map[string]any{"code": f.Code}
	if f.Reason != "" {
		e["reason"] = f.Reason
	}
	if f.RetryAfter > 0 {
		e["retryAfter"] = int(math.Ceil(f.RetryAfter.Seconds()))
	}
	if f.Requires != nil {
		e["requires"] = f.Requires
	}
	if f.Challenge != nil {
		e["challenge"] = f.Challenge
	}
	if len(f.Fields) > 0 {
		e["fields"] = f.Fields
	}
	return e
}

// record logs a fault once, where it is handled. It logs no values, and of the document's names only the operation's.
func record(ctx context.Context, log *slog.Logger, f *fault.Error, shown *gqlerror.Error) {
	level := slog.LevelDebug
	switch {
	case f.Code == fault.Internal:
		level = slog.LevelError
	case f.Code == fault.Unavailable && f.Err != nil && !errors.Is(f.Err, context.Canceled):
		// Without a cause it is overload. Metrics count that, and a flood must not fill the disk with log lines.
		level = slog.LevelWarn
	}
	if !log.Enabled(ctx, level) { // true for most refusals, which must stay cheap
		return
	}
	log.LogAttrs(ctx, level, "request refused",
		slog.String("code", string(f.Code)),
		slog.String("reason", string(f.Reason)),
		slog.String("path", shown.Path.String()),
		slog.Any("error", f.Err),
		slog.String("request", web.RequestFrom(ctx).ID),
		slog.String("operation", operationName(ctx)),
		slog.String("user", string(guard.Caller(ctx).UserID)),
	)
}

// operationName returns the document's name of the current operation, unless it is too long.
func operationName(ctx context.Context) string {
	if !graphql.HasOperationContext(ctx) {
		return ""
	}
	op := graphql.GetOperationContext(ctx).Operation
	if op == nil || len(op.Name) > maxName {
		return ""
	}
	return op.Name
}

// recovered turns a resolver's panic into an error for the log. The panic's value is not sent.
func recovered(_ context.Context, value any) error {
	return fmt.Errorf("panic: %v\n%s", value, debug.Stack())
}
