package model

// Node is a value of a type that implements the interface Node of the schema.
type Node any
