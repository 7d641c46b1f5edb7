package account

// Terms returns what a user is found by.
func Terms(u *User) []string { return u.terms() }

// Get exports get.
func (v *View) Get(id ID) *User { return v.get(id) }

// Read exports read.
func (v *View) Read(ids []ID, f func() ([]*User, error)) ([]*User, error) { return v.read(ids, f) }
