package account_test

import (
	"errors"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/account"
)

// FuzzImported holds CheckImported to what bcrypt makes of a hash: what is accepted can be compared, and costs no
// more than it says.
func FuzzImported(f *testing.F) {
	for _, seed := range []string{"", "$2a$04$......................", "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy", "$2y$16$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
		"$2b$31$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy", "$2x$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy", "$2a$+4$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
		"$2a$04$zVHmKQtGGQob.b/Nc7l9N\n8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy", "gw1$$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		err := account.CheckImported(hash)
		cost, unreadable := bcrypt.Cost([]byte(hash))
		if err != nil {
			return
		}
		if unreadable != nil || cost < 4 || cost > 16 {
			t.Fatalf("%q is accepted; bcrypt says cost %d, %v", hash, cost, unreadable)
		}
		cheap := hash[:4] + "04" + hash[6:]
		if err := bcrypt.CompareHashAndPassword([]byte(cheap), []byte("a password")); err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Errorf("%q is accepted and cannot be compared: %v", hash, err)
		}
	})
}
