package token_test

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkVerify measures the first use of a token (cold) and further uses (cached).
func BenchmarkVerify(b *testing.B) {
	b.Run("cold", func(b *testing.B) {
		for _, a := range algorithms {
			b.Run(string(a), func(b *testing.B) {
				s := newServer(mustOpen(b, sqlite(b), options(a)))
				raws := make([]string, 4000)
				for i := range raws {
					raws[i], _ = s.mustIssue(b)
				}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if i%len(raws) == 0 {
						b.StopTimer()
						s.Verifier = newServer(s.Ring).Verifier // with an empty cache
						b.StartTimer()
					}
					if _, err := s.Verify(raws[i%len(raws)]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
	b.Run("cached", func(b *testing.B) {
		for _, a := range algorithms {
			b.Run(string(a), func(b *testing.B) {
				s := newServer(mustOpen(b, sqlite(b), options(a)))
				raw, _ := s.mustIssue(b)
				s.mustVerify(b, raw)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Verify(raw); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

func BenchmarkIssue(b *testing.B) {
	for _, a := range algorithms {
		b.Run(string(a), func(b *testing.B) {
			s := newServer(mustOpen(b, sqlite(b), options(a)))
			claims, end := s.claims(), s.now.Add(time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := s.Issue(claims, end); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReload measures a Reload without changes, which a server does every 400 ms.
func BenchmarkReload(b *testing.B) {
	r := mustOpen(b, sqlite(b), options("ES256"))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Reload(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzVerify checks that only issued tokens verify.
func FuzzVerify(f *testing.F) {
	var genuine []string
	var servers []*server
	for _, a := range algorithms {
		s := newServer(mustOpen(f, sqlite(f), options(a)))
		raw, _ := s.mustIssue(f)
		genuine, servers = append(genuine, raw), append(servers, s)
		f.Add(uint8(len(servers)-1), raw)
		f.Add(uint8(len(servers)-1), raw+"\n")
		f.Add(uint8(len(servers)-1), raw[:len(raw)-9])
	}
	f.Add(uint8(0), "")
	f.Add(uint8(0), "eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, which uint8, raw string) {
		s := servers[int(which)%len(servers)]
		claims, err := s.Verify(raw)
		if (err == nil) != (claims != nil) {
			t.Fatalf("claims %v, error %v", claims, err)
		}
		if err == nil && !slices.Contains(genuine, raw) {
			t.Fatalf("verified %q", raw)
		}
	})
}

// FuzzClaims signs arbitrary payloads, and checks that those that verify have all required claims.
func FuzzClaims(f *testing.F) {
	g := newGenuine(f, "HS256")
	f.Add(mustDecode(f, g.payload))
	f.Add(g.edit(g.payload, "exp", "1e400"))
	f.Add(also(mustDecode(f, g.payload), `"EXP":1`))
	f.Fuzz(func(t *testing.T, payload string) {
		g := g
		g.tb = t
		c, err := g.server.Verify(g.withPayload(payload))
		if err != nil {
			return
		}
		if c.UserID == "" || c.SessionID == "" || c.ID == "" || c.Roles == nil || c.Methods == nil ||
			c.AuthTime.After(g.server.now.Add(leeway)) || !g.server.now.Before(c.ExpiresAt.Add(leeway)) {
			t.Errorf("accepted %q as %+v", payload, c)
		}
	})
}
