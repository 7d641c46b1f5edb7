package limit

// Steps returns the number of selections that Parse visits.
func (b *Bounds) Steps(text string) int {
	_, steps, _ := b.parse(text)
	return steps
}
