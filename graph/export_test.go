package graph

// TakesSensitive is what decides whether the cause of an argument's refusal is logged.
var TakesSensitive = takesSensitive
