package limit

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// ceiling is where counts stop growing: the product of two fits an int64.
const ceiling = math.MaxInt32

// Lists are the lists that the operations of a document ask for, of those operations where variables say
// how long they are.
type Lists []operationLists

type operationLists struct {
	name  string
	lists []list
}

// list is a field with the arguments first or last, and those below it.
type list struct {
	sizes []size // the largest counts
	below []list
}

// Size is how many bytes l takes.
func (l Lists) Size() (bytes int64) {
	for _, op := range l {
		bytes += int64(len(op.name)) + sizeOf(op.lists)
	}
	return bytes
}

// sizeOf counts 128 bytes for a list and 64 for each of its sizes, which is more than they take.
func sizeOf(lists []list) (bytes int64) {
	for _, one := range lists {
		bytes += 128 + 64*int64(len(one.sizes)) + sizeOf(one.below)
	}
	return bytes
}

// size is an argument first or last: a number, or a variable and its default.
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

// number is the value of a literal; what is none is for validation to refuse.
func number(v *ast.Value) int64 {
	if v == nil || v.Kind != ast.IntValue {
		return 0
	}
	return parse(v.Raw)
}

func parse(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // of what does not fit, the nearest that does
	return max(0, min(n, ceiling))
}

// keep adds what asks for lists by variables to all, and refuses what is beyond the bound whatever they are.
func (b *Bounds) keep(all *Lists, op operationLists) *fault.Error {
	variable := false
	if items(op.lists, func(s size) int64 {
		variable = variable || s.variable != ""
		if s.variable != "" {
			return 0
		}
		return s.number
	}) > int64(b.ListItems) {
		return b.tooManyItems()
	}
	if variable {
		*all = append(*all, op)
	}
	return nil
}

// Check refuses variables that make lists too long in the operation of that name, which is "" where a
// document has only one.
func (l Lists) Check(b *Bounds, operation string, variables map[string]any) error {
	for _, op := range l {
		if operation != "" && op.name != operation {
			continue
		}
		if items(op.lists, func(s size) int64 {
			value, given := variables[s.variable]
			if s.variable == "" || !given {
				return s.number
			}
			n, _ := value.(json.Number) // null, or what coercion refuses
			return parse(n.String())
		}) > int64(b.ListItems) {
			return b.tooManyItems()
		}
	}
	return nil
}

func (b *Bounds) tooManyItems() *fault.Error {
	return exceeded(fault.TooManyItems, "first and last may ask for at most %d items in all, lists within lists multiplied", b.ListItems)
}

// items adds up how many items lists can hold, those of lists within them included.
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
