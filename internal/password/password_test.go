package password_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/password"
)

const secret = "correct horse battery"

// vectors are hashes of the secret. testdata/vectors.py prints them, except for the output of these commands:
//
//	printf 'correct horse battery' | argon2 seasoned12345678 -i -t 1 -k 64 -p 2 -l 32 -e
//	printf 'correct horse battery' | argon2 seasoned12345678 -id -t 2 -k 64 -p 1 -l 16 -e
//	printf 'correct horse battery' | htpasswd -niBC 5 x
//	node -e 'console.log(require("bcryptjs").hashSync("correct horse battery", 5))'
var vectors = map[string]string{
	"Django, PBKDF2":                "pbkdf2_sha256$1000$seasoned12345678901234$/7JsJkk2jalE4Z68N45h4+pgYbD6lZGrIykTkeEZol0=",
	"Django, PBKDF2 with SHA-1":     "pbkdf2_sha1$1000$seasoned12345678901234$IHogQil3i/YI/NPfaWn0Kqy2Txg=",
	"Django, Argon2":                "argon2$argon2id$v=19$m=64,t=1,p=2$c2Vhc29uZWQxMjM0NTY3ODkwMTIzNA$9k5tzX/q2ndpwfhgy0RxXA",
	"Django, bcrypt of SHA-256":     "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuFABy..DpKi5eX.TjDW.8iDMNk/Tma6W",
	"Django, bcrypt":                "bcrypt$$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
	"Django, scrypt":                "scrypt$16$seasoned12345678901234$2$3$nfxdQoUEl3tIMwMdXPM81SFz/3TA8mBZ4VApXrgsCa+Vdeu7jkk6N3shyQo59DCBfAS6RqM4A1wP+BJPlCj7IQ==",
	"passlib, PBKDF2 with SHA-1":    "$pbkdf2$1000$c2Vhc29uZWT//v0xMjM0NQ$ygEj.vqbm2vGNw0.TenOhVp40ro",
	"passlib, PBKDF2 with SHA-256":  "$pbkdf2-sha256$1000$c2Vhc29uZWT//v0xMjM0NQ$yxQLxIHrlpxRPmc/z.vAUbbFImW9hhh9Bao09ZoQ65g",
	"passlib, PBKDF2 with SHA-512":  "$pbkdf2-sha512$1000$c2Vhc29uZWT//v0xMjM0NQ$VAxJRkia5N3pnDxyNvn1RErkOdcaFv1PolWCL/DaWZ9LkPVm9lyuZvyGmwl9r1UdtE0wtV9aOvuZVXXo6BpZHA",
	"LDAP, PBKDF2 with SHA-1":       "{PBKDF2}1000$c2Vhc29uZWT//v0xMjM0NQ$ygEj.vqbm2vGNw0.TenOhVp40ro",
	"LDAP, PBKDF2 with SHA-256":     "{PBKDF2-SHA256}1000$c2Vhc29uZWT//v0xMjM0NQ$yxQLxIHrlpxRPmc/z.vAUbbFImW9hhh9Bao09ZoQ65g",
	"LDAP, PBKDF2 with SHA-512":     "{PBKDF2-SHA512}1000$c2Vhc29uZWT//v0xMjM0NQ$VAxJRkia5N3pnDxyNvn1RErkOdcaFv1PolWCL/DaWZ9LkPVm9lyuZvyGmwl9r1UdtE0wtV9aOvuZVXXo6BpZHA",
	"passlib, scrypt":               "$scrypt$ln=4,r=2,p=3$c2Vhc29uZWT//v0xMjM0NQ$OhKJ4m08Ewujh+V/l+XO1spD+VnZI18AK7HBI4VZjW8",
	"Werkzeug, PBKDF2 with SHA-1":   "pbkdf2:sha1:1000$3PhmcXP8$8d78d18b57ad94309fb99ec6cea90414e185e0af",
	"Werkzeug, PBKDF2 with SHA-256": "pbkdf2:sha256:1000$x5AdtUwP$947b680e7adc91bb3d2dee2742e61b2ebfefcbfc56be9f99f206d4f1f55baf0a",
	"Werkzeug, PBKDF2 with SHA-512": "pbkdf2:sha512:1000$YzXbTMgh$d48a59ce6ae8680662de11ccde389ab99eb044dcb2543454c65b3c18fa144cbfc95d363bf8d49c4e918d5ed4593e6a7ca2b84e4c37e76c30f4aa719c3444828d",
	"Werkzeug, scrypt":              "scrypt:16:2:3$salty$6b3b84156f3ef853da94f2701814b3ec983d643c4bc62ba12a4fe6ac52bc94cc15c9bf350d3ee1e8a496f75a7492131463b7ed1e0de5c1de80a1bc2add67761d",
	"ASP.NET Core, SHA-1":           "AQAAAAAAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg/Kv5tkqQSdO0Z/d/XxWNczkIjFP2C3aR/Oyg84EdRL9A==",
	"ASP.NET Core, SHA-256":         "AQAAAAEAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==",
	"ASP.NET Core, SHA-512":         "AQAAAAIAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg9OjEVSLnLd+mtlFb9XoK6lHa4gNh+7LmuWwX1ngTrjyQ==",
	"ASP.NET Identity 2":            "AAABAgMEBQYHCAkKCwwNDg/Kv5tkqQSdO0Z/d/XxWNczkIjFP2C3aR/Oyg84EdRL9A==",
	"Firebase":                      "$fbscrypt$v=1,n=4,r=2,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$kFMlcaIjEvY+0cCyaiqYNE1N5npS3AZGBJd9h94Lh+0ra4ORUREWXkCJaSw4FRzVgGOzpl3Fmol85qzwoh4QnA==",
	"Argon2i":                       "$argon2i$v=19$m=64,t=1,p=2$c2Vhc29uZWQxMjM0NTY3OA$Gb18hmjbjr6KBPw08oFkK0LP4JqKnV7uDyxunkqLYes",
	"Argon2id":                      "$argon2id$v=19$m=64,t=2,p=1$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg",
	"htpasswd":                      "$2y$05$XStmwruvPVeC.q3oUeozEeP85SFDZDnHzUV6YpuAPcJ7CRphWvNQ2",
	"bcryptjs":                      "$2b$05$6Aw7PoCQFBYRx.Sh7H.14udQa92MbDAwdod2a0l9wykG3FZI15s56",
}

func mustParse(tb testing.TB, text string) *password.Hash {
	tb.Helper()
	h, err := password.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func TestHashesOfOtherSystems(t *testing.T) {
	t.Parallel()
	for name, text := range vectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := mustParse(t, text)
			if !h.Matches([]byte(secret)) {
				t.Error("the password does not match")
			}
			for _, wrong := range []string{
				"", secret + " ", strings.ToUpper(secret), secret + "\x00", secret + "\x00" + secret, secret + "\xff",
				strings.Repeat("x", 1<<20),
			} {
				if h.Matches([]byte(wrong)) {
					t.Errorf("%.30q matches", wrong)
				}
			}
		})
	}
}

// The hash is the example of Firebase's documentation.
func TestFirebaseExample(t *testing.T) {
	t.Parallel()
	h := mustParse(t,
		"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==")
	if !h.Matches([]byte("user1password")) || h.Matches([]byte("user2password")) {
		t.Error("the comparison differs from Firebase's")
	}
}

func TestWrappers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{bcrypt}" + vectors["bcryptjs"], "{CRYPT}" + vectors["htpasswd"], "{crypt}" + vectors["bcryptjs"],
		"{BLF-CRYPT}" + vectors["htpasswd"],
		"bcrypt$" + vectors["bcryptjs"], "{argon2}" + vectors["Argon2id"],
		"{argon2@SpringSecurity_v5_8}" + vectors["Argon2id"],
		"{ARGON2ID}" + vectors["Argon2id"], "{ARGON2I}" + vectors["Argon2i"],
	} {
		if !mustParse(t, text).Matches([]byte(secret)) {
			t.Errorf("%s does not match", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const bcrypt = "$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"
	const salted = "$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg"
	for _, text := range []string{
		"", "secret", "5f4dcc3b5aa765d61d8327deb882cf99", "$1$abc$def", "$5$abc$def", "$6$abc$def", "$y$j9T$abc$def",
		"{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "$P$BabcdefghijABCDEFGHIJabcdefghij",
		"$2b$", bcrypt[:59], bcrypt + "W", bcrypt + "\n", " " + bcrypt, " " + bcrypt[:59], "{noop}secret",
		"{bcrypt}" + bcrypt[1:], "{bcrypt}{bcrypt}" + bcrypt, "bcrypt_sha256$" + bcrypt[:59],
		strings.Replace(bcrypt, "$2b$", "$2x$", 1), strings.Replace(bcrypt, "$2b$", "$2c$", 1),
		strings.Replace(bcrypt, "$2b$", "$2$", 1), strings.Replace(bcrypt, "$2b$", "$1b$", 1),
		strings.Replace(bcrypt, "$12$", "$03$", 1), strings.Replace(bcrypt, "$12$", "$17$", 1),
		strings.Replace(bcrypt, "$12$", "$31$", 1),
		strings.Replace(bcrypt, "$12$", "$-4$", 1), strings.Replace(bcrypt, "$12$", "$+4$", 1),
		strings.Replace(bcrypt, "$12$", "$4$$", 1),
		strings.Replace(bcrypt, "$Eix", "$Ei+", 1), strings.Replace(bcrypt, "$Eix", "$Ei=", 1),
		bcrypt[:7] + "\n\n\n\n" + bcrypt[11:], bcrypt[:29] + "\n\n\n\n" + bcrypt[33:],
		bcrypt[:59] + "X", // unused bits set
		"gw1$$" + bcrypt,
		"$argon2d$v=19$m=64,t=2,p=1" + salted, "$argon2id$m=64,t=2,p=1" + salted, "$argon2id$v=16$m=64,t=2,p=1" + salted,
		"$argon2id$v=19$m=64,t=2" + salted,
		"$argon2id$v=19$t=2,m=64,p=1" + salted, "$argon2id$v=19$m=64,t=0,p=1" + salted,
		"$argon2id$v=19$m=64,t=2,p=0" + salted, "$argon2id$v=19$m=64,t=2,p=256" + salted,
		"$argon2id$v=19$m=7,t=2,p=1" + salted, "$argon2id$v=19$m=+64,t=2,p=1" + salted,
		"$argon2id$v=19$m=64,t=2,p=1,keyid=a" + salted,
		"$argon2id$v=19$m=64,t=2,p=1$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ", "$argon2id$v=19$m=64,t=2,p=1$c2Vhc29uZWQxMjM0NTY3OA$",
		"$argon2id$v=19$m=64,t=2,p=1$c2Vhc29$A9qjp4DZ9W0eDMvpy5YJ!g",
		"$argon2id$v=19$m=64,t=2,p=1$" + strings.Repeat("c2Vh", 100) + "$A9qjp4DZ9W0eDMvpy5YJQg",
		"$scrypt$ln=0,r=8,p=1" + salted, "$scrypt$ln=4,r=0,p=1" + salted, "$scrypt$ln=4,r=8,p=0" + salted,
		"$scrypt$ln=4,r=8" + salted, "scrypt$15$salt$8$1$A9qjp4DZ9W0eDMvpy5YJQg==",
		"scrypt:16:8$salt$00112233445566778899aabbccddeeff",
		"pbkdf2_sha256$0$salt$A9qjp4DZ9W0eDMvpy5YJQg==", "pbkdf2_sha256$-1$salt$A9qjp4DZ9W0eDMvpy5YJQg==",
		"pbkdf2_sha256$99999999999$salt$A9qjp4DZ9W0eDMvpy5YJQg==", "pbkdf2_sha256$1000$salt",
		"pbkdf2_md5$1000$salt$A9qjp4DZ9W0eDMvpy5YJQg==",
		"pbkdf2:sha256:1000$salt$zz", "$pbkdf2-sha256$i=1000$A9qj$A9qjp4DZ9W0eDMvpy5YJQg",
		"$fbscrypt$v=2,n=4,r=2,p=1,ss=Bw==,sk=Bw==$42xE$Bw==",
		vectors["Firebase"][:len(vectors["Firebase"])-8], // shorter than the key
		vectors["ASP.NET Core, SHA-256"][:16],
		"AQAAAAMAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==", // unknown hash function
		"AQAAAAEAAAPo/////wABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==", // a salt of 4 GiB
		"AQAAAAEAAAAAAAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==", // no iterations
		"AgAAAAEAAAPoAAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==", // unknown version
		strings.Repeat("A", 1<<20),
	} {
		if _, err := password.Parse(text); err == nil {
			t.Errorf("%.80q is accepted", text)
		} else if len(text) > 5 && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the hash: %v", err)
		}
	}
}

// Computing one of these hashes would take minutes or exhaust the memory.
func TestParseRefusesExpensiveHashes(t *testing.T) {
	t.Parallel()
	const salted = "$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg"
	for text, want := range map[string]string{
		"$argon2id$v=19$m=131073,t=1,p=1" + salted:                                             "128 MiB",
		"$argon2id$v=19$m=4294967295,t=4294967295,p=1" + salted:                                "128 MiB",
		"$argon2i$v=19$m=65536,t=4294967295,p=1" + salted:                                      "cost 16",
		"$argon2id$v=19$m=65536,t=1000,p=4" + salted:                                           "cost 16",
		"$scrypt$ln=18,r=8,p=1" + salted:                                                       "128 MiB",
		"$scrypt$ln=4294967295,r=8,p=1" + salted:                                               "128 MiB",
		"$scrypt$ln=1,r=4294967295,p=4294967295" + salted:                                      "128 MiB",
		"$scrypt$ln=17,r=8,p=100" + salted:                                                     "cost 16",
		"$scrypt$ln=1,r=1,p=4294967295" + salted:                                               "cost 16",
		"pbkdf2_sha256$4294967295$salt$A9qjp4DZ9W0eDMvpy5YJQg==":                               "cost 16",
		"$pbkdf2-sha512$20000000" + salted:                                                     "cost 16",
		"AQAAAAH/////AAAAEAABAgMEBQYHCAkKCwwNDg8CFp5nTYDA/HKS6GEMjxe+FA3wYq+aoz6oXqq+z/3wjQ==": "cost 16",
	} {
		if _, err := password.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The defaults of current systems are within the bounds.
func TestParseAcceptsCommonCosts(t *testing.T) {
	t.Parallel()
	const salted = "$c2Vhc29uZWQxMjM0NTY3OA$A9qjp4DZ9W0eDMvpy5YJQg"
	for name, text := range map[string]string{
		"PHP":                    "$argon2id$v=19$m=65536,t=4,p=1" + salted,
		"Django":                 "argon2$argon2id$v=19$m=102400,t=2,p=8" + salted,
		"argon2-cffi":            "$argon2id$v=19$m=65536,t=3,p=4" + salted,
		"Keycloak":               "$argon2id$v=19$m=7168,t=5,p=1" + salted,
		"OWASP, scrypt":          "$scrypt$ln=17,r=8,p=1" + salted,
		"Django, scrypt":         "scrypt$16384$salt$8$5$A9qjp4DZ9W0eDMvpy5YJQg==",
		"Werkzeug":               "scrypt:32768:8:1$salt$00112233445566778899aabbccddeeff",
		"Django 6":               "pbkdf2_sha256$1200000$salt$A9qjp4DZ9W0eDMvpy5YJQg==",
		"OWASP, PBKDF2, SHA-1":   "$pbkdf2$1300000" + salted,
		"Keycloak, SHA-512":      "$pbkdf2-sha512$210000$c2Vhc29uZWQxMjM0NTY3OA$" + strings.Repeat("abcd", 21) + "ab",
		"highest bcrypt":         "$2b$16$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW",
		"a salt with loose bits": "$2b$12$EixZaYVK1fsbw1ZfbX3OX/PaWxn96p36WQoeG6Lruj3vjPGga31lW",
		"ASP.NET, format 0":      vectors["ASP.NET Identity 2"],
	} {
		if h, err := password.Parse(text); err != nil || h.Rounds == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse checks that accepted hashes are within the bounds, and that a wrong password does not match.
func FuzzParse(f *testing.F) {
	for _, text := range vectors {
		f.Add(text)
	}
	for _, text := range []string{
		"", "$2a$04$......................",
		"$2b$31$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
		"$2a$04$zVHmKQtGGQob.b/Nc7l9N\n8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy",
		"$argon2id$v=19$m=64,t=2,p=1$$", "$scrypt$ln=63,r=8,p=1$AA$AA", "{bcrypt}", "argon2$", "AQAAAAEAAAPo/////w==",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := password.Parse(text)
		if err != nil {
			return
		}
		if h.Rounds > 1<<16 || h.Memory > 128<<20 {
			t.Fatalf("%q costs %d rounds and %d bytes", text, h.Rounds, h.Memory)
		}
		if strings.HasPrefix(text, "$2") {
			if cost, err := bcrypt.Cost([]byte(text)); err != nil || h.Rounds != 1<<cost {
				t.Fatalf("%q is accepted with %d rounds; bcrypt says cost %d, %v", text, h.Rounds, cost, err)
			}
		}
		if h.Rounds <= 64 && h.Memory <= 1<<20 && h.Matches([]byte("a password that no seed has")) {
			t.Errorf("%q matches", text)
		}
	})
}
