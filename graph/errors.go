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

// presenter turns every error of a request into what the client reads. What was not made for the
// caller becomes INTERNAL_SERVER_ERROR and says nothing but the request's id; the cause is logged.
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

// classify finds the fault in err, or the one that err amounts to.
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
		err = f.Err // what a *gqlerror.Error around it would not tell the log
	}
	return fault.Unexpected(err)
}

// quotation is where a message of the parser or the validator repeats a piece of the document or of a variable.
var quotation = regexp.MustCompile(`(?s)(, found \w+ |^Expected value of type .*?, found |value: |sequence: |^Unexpected \w+ ).*|^.*( is not a valid )|^(Value ").*(" does not exist)`)

// maxMessage bounds a message that repeats names of the document, and each name in a path, in bytes.
const maxMessage = 300

// maxName bounds an operation's name in the log, in bytes.
const maxName = 100

// maxQuoting bounds a message that is searched for what it quotes. A longer one is not worth the time, which
// grows with its length, and cannot be shortened first: what it quotes may stand before what tells so.
const maxQuoting = 4 << 10

// withoutValues cuts from a message what it quotes, which can be a password that was written into a
// query, and shortens the rest: a name can be as long as the document.
func withoutValues(message string) string {
	if len(message) > maxQuoting {
		return "the operation does not fit the schema, in a place too long to be repeated"
	}
	message = quotation.ReplaceAllString(message, "${1}${3}…${2}${4}")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return message
}

// shortened cuts the names in a path: those of a variable's fields can be as long as a request.
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
	if len(f.Fields) > 0 {
		e["fields"] = f.Fields
	}
	return e
}

// record logs a fault once, where it is handled: never a value, and of names only what the document gave the
// operation.
func record(ctx context.Context, log *slog.Logger, f *fault.Error, shown *gqlerror.Error) {
	level := slog.LevelDebug
	switch {
	case f.Code == fault.Internal:
		level = slog.LevelError
	case f.Code == fault.Unavailable && f.Err != nil && !errors.Is(f.Err, context.Canceled):
		// Without a cause it is load, of which metrics tell, and a flood must not fill the disk with lines.
		level = slog.LevelWarn
	}
	if !log.Enabled(ctx, level) { // as most refusals are: they must not cost what nobody reads
		return
	}
	log.LogAttrs(ctx, level, "request refused", slog.String("code", string(f.Code)), slog.String("reason", string(f.Reason)),
		slog.String("path", shown.Path.String()), slog.Any("error", f.Err), slog.String("request", web.RequestFrom(ctx).ID),
		slog.String("operation", operationName(ctx)), slog.String("user", string(guard.Caller(ctx).UserID)))
}

// operationName is what the document calls the operation under way, unless that is too long to be a name.
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

// recovered turns a panic of a resolver into an error for the log. The panic's value is not sent.
func recovered(_ context.Context, value any) error {
	return fmt.Errorf("panic: %v\n%s", value, debug.Stack())
}
