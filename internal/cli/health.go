package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthTimeout is shorter than the 30 s that Docker gives a health check.
const healthTimeout = 5 * time.Second

type healthCmd struct {
	Ready bool `help:"Ask whether the server can answer guarded fields, not only whether it runs."`
}

func (c healthCmd) Run(e *env) error {
	ctx, cancel := context.WithTimeout(e.ctx, healthTimeout)
	defer cancel()
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.config.LocalURL()+path, nil)
	if err != nil {
		return err
	}
	// The certificate names the public host, not this address. Nothing but a status is read.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}
