package password

import (
	"crypto/aes"
	"crypto/cipher"
	"math/bits"

	"golang.org/x/crypto/scrypt"
)

// scryptRound is the number of 128-byte blocks that scrypt mixes in the time of one bcrypt round. One hash mixes N×r×p
// blocks.
const scryptRound = 150

// parsePHCScrypt parses ln=LOG2N,r=R,p=P$salt$sum, the PHC string format that passlib writes.
func parsePHCScrypt(rest string) (*Hash, error) {
	p := split(rest, "$", 3)
	parameters := p.parameters(p.fields[0], "ln", "r", "p")
	logN, r, parallel := p.number(parameters[0]), p.number(parameters[1]), p.number(parameters[2])
	return scryptHash(p, logN, r, parallel, p.bytes(p.fields[1]), p.bytes(p.fields[2]))
}

// parseDjangoScrypt parses N$salt$R$P$sum with a plain-text salt.
func parseDjangoScrypt(rest string) (*Hash, error) {
	p := split(rest, "$", 5)
	n, r, parallel := p.number(p.fields[0]), p.number(p.fields[2]), p.number(p.fields[3])
	return scryptHash(p, p.log2(n), r, parallel, []byte(p.fields[1]), p.bytes(p.fields[4]))
}

// parseWerkzeugScrypt parses N:R:P$salt$sum with the sum in hex, the format of Flask applications.
func parseWerkzeugScrypt(rest string) (*Hash, error) {
	p := split(rest, "$", 3)
	q := split(p.fields[0], ":", 3)
	n, r, parallel := q.number(q.fields[0]), q.number(q.fields[1]), q.number(q.fields[2])
	p.bad = p.bad || q.bad
	return scryptHash(p, p.log2(n), r, parallel, []byte(p.fields[1]), p.hex(p.fields[2]))
}

// log2 returns the logarithm of a power of two, and sets bad for other numbers.
func (p *parts) log2(n uint64) uint64 {
	p.bad = p.bad || bits.OnesCount64(n) != 1
	return uint64(bits.Len64(n) - 1)
}

func scryptHash(p *parts, logN, r, parallel uint64, salt, sum []byte) (*Hash, error) {
	rounds, memory, err := scryptCost(p, logN, r, parallel)
	if err != nil {
		return nil, err
	}
	return bounded(rounds, memory, salt, sum, func(password []byte) []byte {
		return scryptKey(password, salt, logN, r, parallel, len(sum))
	})
}

// scryptCost returns the cost of a hash. It bounds each parameter first, so that their product cannot overflow.
func scryptCost(p *parts, logN, r, parallel uint64) (rounds, memory uint64, err error) {
	switch {
	case p.bad:
		return 0, 0, errMalformed
	case logN > 20, r > 1<<10:
		return 0, 0, errMemory
	case parallel > 1<<10:
		return 0, 0, errCost
	}
	return r * parallel << logN / scryptRound, 128 * r << logN, nil
}

func scryptKey(password, salt []byte, logN, r, parallel uint64, length int) []byte {
	key, err := scrypt.Key(password, salt, 1<<logN, int(r), int(parallel), length)
	if err != nil {
		return nil // never matches
	}
	return key
}

// parseFirebase parses v=1,n=LOG2N,r=ROUNDS,p=1,ss=SEPARATOR,sk=SIGNERKEY$salt$sum, Supabase's format for Firebase
// hashes. The sum is the project's signer key, encrypted under the key that scrypt derives from the password.
func parseFirebase(rest string) (*Hash, error) {
	p := split(rest, "$", 3)
	parameters := p.parameters(p.fields[0], "v", "n", "r", "p", "ss", "sk")
	logN, r, parallel := p.number(parameters[1]), p.number(parameters[2]), p.number(parameters[3])
	separator, signer := p.bytes(parameters[4]), p.bytes(parameters[5])
	salt, sum := p.bytes(p.fields[1]), p.bytes(p.fields[2])
	p.bad = p.bad || parameters[0] != "1" || len(signer) != len(sum)
	rounds, memory, err := scryptCost(p, logN, r, parallel)
	if err != nil {
		return nil, err
	}
	salt = append(salt, separator...)
	return bounded(rounds, memory, salt, sum, func(password []byte) []byte {
		block, err := aes.NewCipher(scryptKey(password, salt, logN, r, parallel, 32))
		if err != nil {
			return nil
		}
		out := make([]byte, len(signer))
		cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(out, signer)
		return out
	})
}
