// Package attack owns a list of hostile requests and the judgement of what comes back: an answer is in
// order if it is small, is no failure of the server, and says in a code why the request was refused. It
// knows the server by its URL only, which runs as in production, with the limits that it has unless told
// otherwise.
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
	// patience bounds one request: none of them is worth more of the server's time.
	patience = time.Minute
)

// Attack is one hostile request.
type Attack struct {
	Name string
	// Want is what Outcome.Verdict must be, or several of them between " or "; "" if any will do.
	Want string
	// MayClose says that the server may close the connection while the request is still being sent.
	MayClose bool
	// request makes the n-th try, which differs from the others where an answer could be remembered.
	request func(url string, n int) (*http.Request, error)
}

// Outcome is what came of an attack.
type Outcome struct {
	Status, Bytes, Errors int
	// Code and Reason are those of the first error.
	Code, Reason string
	Took         time.Duration
	Body         []byte
}

// Verdict is the status, code and reason in one line.
func (o Outcome) Verdict() string {
	if o.Status == 0 {
		return "closed"
	}
	return strings.Join(strings.Fields(fmt.Sprint(o.Status, " ", o.Code, " ", o.Reason)), " ")
}

// Send makes the n-th try of an attack.
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
		o.Errors, o.Code, o.Reason = len(answer.Errors), answer.Errors[0].Extensions.Code, answer.Errors[0].Extensions.Reason
	}
	return o, nil
}

// leaks are texts that no answer holds: suggestions, tracing, and what the server is made of.
var leaks = []string{"Did you mean", "tracing", "goroutine", "panic", "github.com", "runtime error", "json:", "pq:", "sqlite"}

// Judge returns what is out of order in an outcome.
func (a Attack) Judge(o Outcome) (problems []string) {
	if o.Status >= 500 {
		problems = append(problems, "a failure of the server")
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
			problems = append(problems, fmt.Sprintf("the answer says %q", leak))
		}
	}
	if got := o.Verdict(); a.Want != "" && !slices.Contains(strings.Split(a.Want, " or "), got) && (got != "closed" || !a.MayClose) {
		problems = append(problems, "want "+a.Want)
	}
	return problems
}
