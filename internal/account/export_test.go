package account

// Terms returns what a user is found by.
func Terms(u *User) []string { return u.terms() }
