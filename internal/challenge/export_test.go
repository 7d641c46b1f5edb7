package challenge

// SplitToken exports splitToken.
func SplitToken(token string) (id string, mac []byte) { return splitToken(token) }
