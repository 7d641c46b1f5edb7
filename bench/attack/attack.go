// Package attack owns hostile requests and the rules for their responses: a response must be small, must not be an
// internal error, and must have an error code. It knows only the URL of the server, which runs with production settings
// and the default limits.
package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	maxBytes  = 8 << 10
	maxErrors = 10
	// patience limits the time of a request.
	patience = time.Minute
)

// Attack is one hostile request.
type Attack struct {
	Name string
	// Want is the expected Outcome.Verdict, or several separated by " or "; "" accepts any.
	Want string
	// MayClose means that the server may close the connection before it has read the request.
	MayClose bool
	// request returns the request for the n-th try. Requests differ if the server could cache their response.
	request func(url string, n int) (*http.Request, error)
}

// Outcome is the response to an attack.
type Outcome struct {
	Status, Bytes, Errors int
	// Code and Reason are those of the first error.
	Code, Reason string
	Took         time.Duration
	Body         []byte
}

// Verdict returns the status, code and reason in one line.
func (o Outcome) Verdict() string {
	if o.Status == 0 {
		return "closed"
	}
	return strings.Join(strings.Fields(fmt.Sprint(o.Status, " ", o.Code, " ", o.Reason)), " ")
}

// Send sends the n-th try of an attack.
func (a Attack) Send(ctx context.Context, client *http.Client, url string, n int) (Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := a.request(url, n)
	if err != nil {
		return Outcome{}, fmt.Errorf("%s: %w", a.Name, err)
	}
	start := time.Now()
	response, err := client.Do(r.WithContext(ctx))
	if err != nil {
		if a.MayClose && ctx.Err() == nil {
			return Outcome{Took: time.Since(start)}, nil
		}
		return Outcome{}, fmt.Errorf("%s: %w", a.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil && !a.MayClose {
		return Outcome{}, fmt.Errorf("%s: read the answer: %w", a.Name, err)
	}
	o := Outcome{Status: response.StatusCode, Bytes: len(body), Took: time.Since(start), Body: body}
	var answer struct {
		Errors []struct{ Extensions struct{ Code, Reason string } }
	}
	if _, data, ok := bytes.Cut(body, []byte("event: next\ndata: ")); ok {
		body, _, _ = bytes.Cut(data, []byte("\n"))
	}
	if json.Unmarshal(body, &answer) == nil && len(answer.Errors) > 0 {
		e := answer.Errors[0].Extensions
		o.Errors, o.Code, o.Reason = len(answer.Errors), e.Code, e.Reason
	}
	return o, nil
}

// leaks are texts that no response may contain: suggestions, tracing, and implementation details.
var leaks = []string{
	"Did you mean", "tracing", "goroutine", "panic", "github.com", "runtime error", "json:", "pq:", "sqlite",
}

// Judge returns the problems of an outcome.
func (a Attack) Judge(o Outcome) (problems []string) {
	if o.Status >= 500 {
		problems = append(problems, "an internal error")
	}
	if o.Bytes > maxBytes {
		problems = append(problems, fmt.Sprintf("%d bytes", o.Bytes))
	}
	if o.Errors > maxErrors {
		problems = append(problems, fmt.Sprintf("%d errors", o.Errors))
	}
	if o.Errors > 0 && o.Code == "" {
		problems = append(problems, "an error without a code")
	}
	for _, leak := range leaks {
		if bytes.Contains(o.Body, []byte(leak)) {
			problems = append(problems, fmt.Sprintf("the response contains %q", leak))
		}
	}
	got := o.Verdict()
	wanted := a.Want == "" || slices.Contains(strings.Split(a.Want, " or "), got) || got == "closed" && a.MayClose
	if !wanted {
		problems = append(problems, "want "+a.Want)
	}
	return problems
}
