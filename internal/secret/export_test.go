package secret

// Untrimmed is a secret as earlier versions read it.
func Untrimmed(text string) *Secret { return &Secret{all: []string{text}} }
