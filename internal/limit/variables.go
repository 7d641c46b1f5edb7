package limit

import (
	"encoding/json"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const inputDepthMessage = "lists and objects of an input may nest at most %d deep"

// Variables refuses variables of a request that exceed the bounds. It must run before coercion.
func (b *Bounds) Variables(variables map[string]any) error {
	return b.members(variables, "variables", fault.VariablesTooLarge)
}

// Extensions refuses extensions of a request that exceed the bounds for variables.
func (b *Bounds) Extensions(extensions map[string]any) error {
	return b.members(extensions, "extensions", fault.ExtensionsTooLarge)
}

func (b *Bounds) members(members map[string]any, called string, tooLarge fault.Reason) error {
	if len(members) == 0 {
		return nil
	}
	w := weight{bounds: b}
	for name, value := range members {
		w.bytes += len(name)
		w.add(value, 0)
	}
	switch {
	case w.deep:
		return exceeded(fault.InputTooDeep, inputDepthMessage, b.InputDepth)
	case w.values > b.VariableValues:
		return exceeded(tooLarge, "the "+called+" of a request may have at most %d values", b.VariableValues)
	case w.bytes > b.VariableBytes:
		return exceeded(tooLarge, "the "+called+" of a request may have at most %d bytes", b.VariableBytes)
	}
	return nil
}

// weight counts the values and bytes of variables.
type weight struct {
	bounds        *Bounds
	values, bytes int
	deep          bool
}

func (w *weight) add(value any, depth int) {
	w.values++
	switch v := value.(type) {
	case string:
		w.bytes += len(v)
		return
	case json.Number:
		w.bytes += len(v)
		return
	case map[string]any:
		if w.enter(&depth) {
			for name, inner := range v {
				w.bytes += len(name)
				w.add(inner, depth)
			}
		}
	case []any:
		if w.enter(&depth) {
			for _, inner := range v {
				w.add(inner, depth)
			}
		}
	}
}

// enter increments depth. It reports false if a bound is already exceeded.
func (w *weight) enter(depth *int) bool {
	*depth++
	w.deep = w.deep || *depth > w.bounds.InputDepth
	return !w.deep && w.values <= w.bounds.VariableValues
}
