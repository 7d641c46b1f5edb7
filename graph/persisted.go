package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// TrustedDocuments are the only operations that run, by id, where a deployment lists them.
type TrustedDocuments struct {
	mu    sync.RWMutex
	byID  map[string]string
	texts map[string]bool
}

// ParseTrustedDocuments reads the JSON object of ids and documents that graphql-codegen's client preset
// writes. A document that does not fit the schema is refused here rather than at its first use.
func ParseTrustedDocuments(raw []byte, schema *ast.Schema) (*TrustedDocuments, error) {
	t := &TrustedDocuments{texts: make(map[string]bool)}
	if err := json.Unmarshal(raw, &t.byID); err != nil || len(t.byID) == 0 {
		return nil, fmt.Errorf("it is not a JSON object of ids and documents")
	}
	for id, text := range t.byID {
		if _, errs := gqlparser.LoadQueryWithRules(schema, text, nil); len(errs) > 0 {
			return nil, fmt.Errorf("document %s does not fit the schema: %w", id, errs)
		}
		t.texts[text] = true
	}
	return t, nil
}

// persisted lets a client send the hash of an operation instead of its text: Apollo's automatic
// persisted queries, or only documents that the deployment trusts.
type persisted struct {
	trusted *TrustedDocuments // nil: automatic
	seen    cache[string]
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = (*persisted)(nil)

func newPersisted(trusted *TrustedDocuments) (*persisted, error) {
	seen, err := newCache(func(_, text string) string { return text })
	return &persisted{trusted: trusted, seen: seen}, err
}

// ExtensionName implements graphql.HandlerExtension.
func (*persisted) ExtensionName() string { return "PersistedOperations" }

// Validate implements graphql.HandlerExtension.
func (*persisted) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters puts the text of a persisted operation in its place.
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

// persistedID reads extensions.persistedQuery; absent it is empty.
func persistedID(extension any) (string, *fault.Error) {
	if extension == nil {
		return "", nil
	}
	fields, _ := extension.(map[string]any)
	id, _ := fields["sha256Hash"].(string)
	if fmt.Sprint(fields["version"]) != "1" || id == "" || len(id) > 128 {
		return "", fault.New(fault.BadUserInput, fault.Malformed, "extensions.persistedQuery must have version 1 and a sha256Hash")
	}
	return id, nil
}

// Replace trusts other documents instead, from the next request on.
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
			return fault.New(fault.PersistedQueryNotFound, "", "PersistedQueryNotFound") // the text that Apollo's clients look for
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
