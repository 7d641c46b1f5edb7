package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/fault"
)

// TrustedDocuments are the only operations that may run if a deployment lists them.
type TrustedDocuments struct {
	mu    sync.RWMutex
	byID  map[string]string
	texts map[string]bool
}

// ParseTrustedDocuments parses a JSON object of ids and documents, as written by graphql-codegen's client preset and
// Relay's compiler, or Apollo's persisted query manifest. It refuses documents that do not match the schema, instead of
// letting their first use fail.
func ParseTrustedDocuments(raw []byte, schema *ast.Schema) (*TrustedDocuments, error) {
	byID, err := documentsByID(raw)
	if err != nil {
		return nil, err
	}
	t := &TrustedDocuments{byID: byID, texts: make(map[string]bool)}
	for id, text := range t.byID {
		if _, errs := gqlparser.LoadQueryWithRules(schema, text, nil); len(errs) > 0 {
			return nil, fmt.Errorf("document %s does not match the schema: %w", id, errs)
		}
		if err := coercion.CheckEscapes(text); err != nil {
			return nil, fmt.Errorf("document %s: %w", id, err)
		}
		t.texts[text] = true
	}
	return t, nil
}

// apolloManifest is the format of the manifests of Apollo's generate-persisted-query-manifest.
const apolloManifest = "apollo-persisted-query-manifest"

func documentsByID(raw []byte) (map[string]string, error) {
	var manifest struct {
		Format     string `json:"format"`
		Version    int    `json:"version"`
		Operations []struct {
			ID   string `json:"id"`
			Body string `json:"body"`
		} `json:"operations"`
	}
	if err := json.Unmarshal(raw, &manifest); err == nil && manifest.Format == apolloManifest {
		if manifest.Version != 1 {
			return nil, fmt.Errorf("version %d of Apollo's persisted query manifest is not supported", manifest.Version)
		}
		byID := make(map[string]string, len(manifest.Operations))
		for _, operation := range manifest.Operations {
			byID[bareHash(operation.ID)] = operation.Body
		}
		return byID, nil
	}
	var documents map[string]string
	if err := json.Unmarshal(raw, &documents); err != nil || len(documents) == 0 {
		return nil, errors.New("it is neither a JSON object of ids and documents nor Apollo's persisted query manifest")
	}
	byID := make(map[string]string, len(documents))
	for id, text := range documents {
		byID[bareHash(id)] = text
	}
	return byID, nil
}

// bareHash drops the prefix of the GraphQL-over-HTTP draft from the id of a document.
func bareHash(id string) string { return strings.TrimPrefix(id, "sha256:") }

// persisted lets clients send the hash of an operation instead of its text: with Apollo's automatic persisted queries,
// or with the trusted documents of the deployment.
type persisted struct {
	trusted *TrustedDocuments // nil for automatic persisted queries
	seen    cache[string]
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = (*persisted)(nil)

func newPersisted(trusted *TrustedDocuments, cacheBytes int64) (*persisted, error) {
	seen, err := newCache(cacheBytes, func(_, text string) int64 { return int64(len(text)) })
	return &persisted{trusted: trusted, seen: seen}, err
}

// ExtensionName implements graphql.HandlerExtension.
func (*persisted) ExtensionName() string { return "PersistedOperations" }

// Validate implements graphql.HandlerExtension.
func (*persisted) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters replaces the hash of a persisted operation by its text.
func (p *persisted) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	id, err := persistedID(params.Extensions["persistedQuery"])
	if err == nil && p.trusted != nil {
		err = p.trusted.resolve(id, params)
	} else if err == nil && id != "" {
		err = p.automatic(ctx, id, params)
	}
	if err != nil {
		return &gqlerror.Error{Err: err, Message: err.Message}
	}
	return nil
}

// persistedID returns the id in extensions.persistedQuery, or "" without that extension.
func persistedID(extension any) (string, *fault.Error) {
	if extension == nil {
		return "", nil
	}
	fields, _ := extension.(map[string]any)
	id, _ := fields["sha256Hash"].(string)
	id = bareHash(id)
	if fmt.Sprint(fields["version"]) != "1" || id == "" || len(id) > 128 {
		return "", fault.New(fault.BadUserInput, fault.Malformed,
			"extensions.persistedQuery must have version 1 and a sha256Hash")
	}
	return id, nil
}

// Replace replaces the documents, from the next request on.
func (t *TrustedDocuments) Replace(other *TrustedDocuments) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byID, t.texts = other.byID, other.texts
}

func (t *TrustedDocuments) resolve(id string, params *graphql.RawParams) *fault.Error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	text, known := t.byID[id]
	switch {
	case id == "" && t.texts[params.Query]:
		return nil
	case !known || params.Query != "" && params.Query != text:
		return fault.New(fault.PersistedQueryNotAllowed, "", "only trusted documents run here")
	}
	params.Query = text
	return nil
}

func (p *persisted) automatic(ctx context.Context, hash string, params *graphql.RawParams) *fault.Error {
	hash = strings.ToLower(hash)
	if params.Query == "" {
		text, ok := p.seen.Get(ctx, hash)
		if !ok {
			// Apollo's clients expect this message.
			return fault.New(fault.PersistedQueryNotFound, "", "PersistedQueryNotFound")
		}
		params.Query = text
		return nil
	}
	if sum := sha256.Sum256([]byte(params.Query)); hex.EncodeToString(sum[:]) != hash {
		return fault.New(fault.BadUserInput, fault.Malformed, "sha256Hash is not the hash of the query")
	}
	p.seen.Add(ctx, hash, params.Query)
	return nil
}
