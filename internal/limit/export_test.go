package limit

// Steps returns how many selections Parse looks at, refused or not.
func (b *Bounds) Steps(text string) int {
	_, steps, _ := b.parse(text)
	return steps
}
