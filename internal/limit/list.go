package limit

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// ceiling is the maximum of all counts, so that the product of two fits an int64.
const ceiling = math.MaxInt32

// Lists are the lists that a document requests, for the operations in which variables determine their lengths.
type Lists []operationLists

type operationLists struct {
	name  string
	lists []list
}

// list is a field with the argument first or last, and the lists below it.
type list struct {
	sizes []size // the largest is the length
	below []list
}

// Size returns an upper bound on the memory that l occupies, in bytes.
func (l Lists) Size() (bytes int64) {
	for _, op := range l {
		bytes += int64(len(op.name)) + sizeOf(op.lists)
	}
	return bytes
}

// sizeOf counts 128 bytes for a list and 64 for each of its sizes, which is more than they occupy.
func sizeOf(lists []list) (bytes int64) {
	for _, one := range lists {
		bytes += 128 + 64*int64(len(one.sizes)) + sizeOf(one.below)
	}
	return bytes
}

// size is the value of first or last: a number, or a variable with its default.
type size struct {
	variable string // "" for a number
	number   int64
}

func sizesOf(field *ast.Field, defaults map[string]*ast.Value) (sizes []size) {
	for _, name := range [...]string{"first", "last"} {
		argument := field.Arguments.ForName(name)
		switch {
		case argument == nil:
		case argument.Value.Kind == ast.Variable:
			sizes = append(sizes, size{argument.Value.Raw, number(defaults[argument.Value.Raw])})
		default:
			sizes = append(sizes, size{number: number(argument.Value)})
		}
	}
	return sizes
}

// number returns the value of an integer literal, or 0. Validation rejects other literals.
func number(v *ast.Value) int64 {
	if v == nil || v.Kind != ast.IntValue {
		return 0
	}
	return parse(v.Raw)
}

func parse(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // out of range, n is the nearest int64
	return max(0, min(n, ceiling))
}

// keep adds op to all if variables determine the length of a list. It refuses op if it exceeds the bound with any
// variables.
func (b *Bounds) keep(all *Lists, op operationLists) *fault.Error {
	variable := false
	least := items(op.lists, func(s size) int64 {
		variable = variable || s.variable != ""
		if s.variable != "" {
			return 0
		}
		return s.number
	})
	if least > int64(b.ListItems) {
		return b.tooManyItems()
	}
	if variable {
		*all = append(*all, op)
	}
	return nil
}

// Check refuses variables that make the lists of an operation too long. For operation "" it checks all operations.
func (l Lists) Check(b *Bounds, operation string, variables map[string]any) error {
	for _, op := range l {
		if operation != "" && op.name != operation {
			continue
		}
		total := items(op.lists, func(s size) int64 {
			value, given := variables[s.variable]
			if s.variable == "" || !given {
				return s.number
			}
			n, _ := value.(json.Number) // else it is null, or coercion refuses it
			return parse(n.String())
		})
		if total > int64(b.ListItems) {
			return b.tooManyItems()
		}
	}
	return nil
}

func (b *Bounds) tooManyItems() *fault.Error {
	const format = "first and last may ask for at most %d items in total; nested lists multiply"
	return exceeded(fault.TooManyItems, format, b.ListItems)
}

// items returns the number of items that lists can contain, including nested lists.
func items(lists []list, number func(size) int64) int64 {
	total := int64(0)
	for _, l := range lists {
		longest := int64(0)
		for _, s := range l.sizes {
			longest = max(longest, number(s))
		}
		total = min(ceiling, total+longest*(1+items(l.below, number)))
	}
	return total
}
