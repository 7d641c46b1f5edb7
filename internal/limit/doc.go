// Package limit owns the size limits of one operation. It inspects a document before validation, because validation
// takes quadratic time for repeated fields and exponential time for some nested fragments. It promises that its own
// work is linear in the length of the document.
//
// It does not know the schema: validation checks whether fields, fragments and arguments exist.
package limit
