package password

import (
	"math"

	"golang.org/x/crypto/argon2"
)

// argon2Round is the number of KiB that one Argon2 pass fills in the time of one bcrypt round.
const argon2Round = 50

// parseArgon2id parses the format of the reference implementation: v=19$m=KIB,t=PASSES,p=LANES$salt$sum.
func parseArgon2id(rest string) (*Hash, error) { return parseArgon2(rest, argon2.IDKey) }

func parseArgon2i(rest string) (*Hash, error) { return parseArgon2(rest, argon2.Key) }

type argon2Key func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte

func parseArgon2(rest string, key argon2Key) (*Hash, error) {
	p := split(rest, "$", 4)
	parameters := p.parameters(p.fields[1], "m", "t", "p")
	memory, time, lanes := p.number(parameters[0]), p.number(parameters[1]), p.number(parameters[2])
	salt, sum := p.bytes(p.fields[2]), p.bytes(p.fields[3])
	if p.bad || p.fields[0] != "v=19" || lanes > math.MaxUint8 || memory < 8*lanes {
		return nil, errMalformed
	}
	return bounded(memory*time/argon2Round, memory<<10, salt, sum, func(password []byte) []byte {
		return key(password, salt, uint32(time), uint32(memory), uint8(lanes), uint32(len(sum)))
	})
}
