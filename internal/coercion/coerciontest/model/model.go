// Package model holds the Go types of coerciontest.
package model

import (
	"fmt"
	"io"
	"math/big"
	"strconv"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Day is a custom scalar whose errors are faults.
type Day struct{ time.Time }

// MarshalGQL implements graphql.Marshaler.
func (d Day) MarshalGQL(w io.Writer) {
	_, _ = io.WriteString(w, strconv.Quote(d.Format(time.DateOnly)))
}

// UnmarshalGQL implements graphql.Unmarshaler.
func (d *Day) UnmarshalGQL(v any) (err error) {
	text, _ := v.(string)
	if d.Time, err = time.Parse(time.DateOnly, text); err != nil {
		return fault.New(fault.BadUserInput, fault.Malformed, "write it as 2006-01-02")
	}
	return nil
}

// Big is a custom scalar whose errors repeat the value, and must not reach callers.
type Big struct{ big.Int }

// MarshalGQL implements graphql.Marshaler.
func (b Big) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, b.String()) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (b *Big) UnmarshalGQL(v any) error {
	if _, ok := b.SetString(fmt.Sprint(v), 10); !ok {
		return fmt.Errorf("%T %v is not a big.Int", v, v)
	}
	return nil
}

// Fragile is a custom scalar whose unmarshaler panics on wrong types.
type Fragile string

// MarshalGQL implements graphql.Marshaler.
func (f Fragile) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Quote(string(f))) }

// UnmarshalGQL implements graphql.Unmarshaler.
func (f *Fragile) UnmarshalGQL(v any) error {
	*f = Fragile(v.(string))
	return nil
}

// Reader is an interface of the schema.
type Reader interface{ IsReader() }

// Written is what a mutation returns.
type Written struct{ Text string }

// IsReader makes Written a Reader.
func (Written) IsReader() {}
