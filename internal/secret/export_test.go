package secret

// Untrimmed returns a secret that keeps surrounding white space, as earlier versions did.
func Untrimmed(text string) *Secret { return &Secret{all: []string{text}} }
