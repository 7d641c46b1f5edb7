package password

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math"
	"os"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// A list of breached passwords is a file with a header and a Bloom filter over the SHA-1 hashes of the passwords, which
// is how they are published. The filter is built in one pass over unsorted hashes, needs 14 bits per password, and is
// read in place: the kernel caches what is used. A memory map would end the process if the file were truncated.
//
// The header, in big-endian: magic, version (4 bytes), checksum (4, CRC-32C of the rest of the file), hashes per
// password (4), bits of the filter (8), passwords (8), false-positive rate (8, IEEE 754).
const (
	breachedMagic   = "GWBREACH"
	breachedVersion = 1
	breachedHeader  = 44
	checkedFrom     = 16 // where the part of the file under the checksum starts
)

// minBits is the size of the filter of a short list. In a smaller one, the bits of a password would overlap.
const minBits = 1 << 16

// The bounds of the false-positive rate of a new list.
const (
	MinFalsePositives = 1e-6
	MaxFalsePositives = 1e-2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// filter is the size of a Bloom filter.
type filter struct {
	hashes uint32 // bits per password
	bits   uint64
}

// bytes returns the size of the table.
func (f filter) bytes() uint64 { return (f.bits + 7) / 8 }

// each calls do with the byte and the mask of each bit of a password. SHA-1 has enough bits for two independent hashes,
// and further ones can be derived from two (Kirsch and Mitzenmacher, 2006).
func (f filter) each(sum [sha1.Size]byte, do func(at int64, mask byte) (more bool)) {
	at, step := binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])|1
	for range f.hashes {
		bit := at % f.bits
		if !do(int64(bit/8), 1<<(bit%8)) {
			return
		}
		at += step
	}
}

// BreachedList is an open list of breached passwords.
type BreachedList struct {
	file io.ReaderAt
	filter
	// Count is the number of passwords in the list.
	Count uint64
	// FalsePositives is the share of other passwords that the list seems to contain.
	FalsePositives float64
}

// ReadBreachedList checks a list of size bytes, all of which it reads once.
func ReadBreachedList(file io.ReaderAt, size int64) (*BreachedList, error) {
	header := make([]byte, breachedHeader)
	if _, err := file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case string(header[:len(breachedMagic)]) != breachedMagic:
		return nil, errors.New("it is not a list made by graphwarden breached build")
	case binary.BigEndian.Uint32(header[8:]) != breachedVersion:
		return nil, fmt.Errorf("it has the version %d, and this program reads version %d: build it again",
			binary.BigEndian.Uint32(header[8:]), breachedVersion)
	}
	l := &BreachedList{
		file:           file,
		filter:         filter{hashes: binary.BigEndian.Uint32(header[16:]), bits: binary.BigEndian.Uint64(header[20:])},
		Count:          binary.BigEndian.Uint64(header[28:]),
		FalsePositives: math.Float64frombits(binary.BigEndian.Uint64(header[36:])),
	}
	if l.bits == 0 || l.bits > math.MaxInt64 || l.hashes == 0 || l.hashes > 64 ||
		uint64(size) != breachedHeader+l.bytes() {
		return nil, errors.New("it is damaged: its size does not match its header")
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, io.NewSectionReader(file, checkedFrom, size-checkedFrom)); err != nil {
		return nil, err
	}
	if sum.Sum32() != binary.BigEndian.Uint32(header[12:]) {
		return nil, errors.New("it is damaged: its checksum is wrong")
	}
	return l, nil
}

// Contains reports whether the list contains a password, or seems to.
func (l *BreachedList) Contains(password string) (found bool, err error) {
	found = true
	l.each(sha1.Sum([]byte(norm.NFC.String(password))), func(at int64, mask byte) bool {
		var b [1]byte
		if _, err = l.file.ReadAt(b[:], breachedHeader+at); err != nil {
			return false
		}
		found = b[0]&mask != 0
		return found
	})
	return found && err == nil, err
}

// BreachedBuilder makes a list of breached passwords in memory.
type BreachedBuilder struct {
	filter
	table []byte
	count uint64
	rate  float64
}

// NewBreachedBuilder returns a BreachedBuilder for count passwords. With more, the false-positive rate rises.
func NewBreachedBuilder(count uint64, falsePositives float64) *BreachedBuilder {
	perPassword := -math.Log(falsePositives) / (math.Ln2 * math.Ln2)
	f := filter{
		hashes: uint32(max(1, math.Round(perPassword*math.Ln2))),
		bits:   max(minBits, uint64(math.Ceil(perPassword*float64(count)))),
	}
	return &BreachedBuilder{filter: f, table: make([]byte, f.bytes()), rate: falsePositives}
}

// Add adds the SHA-1 hash of a password.
func (b *BreachedBuilder) Add(sum [sha1.Size]byte) {
	b.count++
	b.each(sum, func(at int64, mask byte) bool {
		b.table[at] |= mask
		return true
	})
}

// WriteTo writes the list.
func (b *BreachedBuilder) WriteTo(w io.Writer) (int64, error) {
	checked := binary.BigEndian.AppendUint32(nil, b.hashes)
	checked = binary.BigEndian.AppendUint64(checked, b.bits)
	checked = binary.BigEndian.AppendUint64(checked, b.count)
	checked = binary.BigEndian.AppendUint64(checked, math.Float64bits(b.rate))
	sum := crc32.Update(crc32.Checksum(checked, castagnoli), castagnoli, b.table)
	header := binary.BigEndian.AppendUint32([]byte(breachedMagic), breachedVersion)
	header = append(binary.BigEndian.AppendUint32(header, sum), checked...)
	n, err := w.Write(header)
	if err != nil {
		return int64(n), err
	}
	m, err := w.Write(b.table)
	return int64(n + m), err
}

// maxBreachedLine bounds a line of input: longer ones cannot be passwords.
const maxBreachedLine = 4 * maxPassword

// ReadBreached calls f with the SHA-1 hash of each password in r, one per line in any order: HASH or HASH:COUNT in hex,
// as Have I Been Pwned publishes them, or else the password itself. It skips lines that cannot be passwords.
func ReadBreached(r io.Reader, f func(sum [sha1.Size]byte)) error {
	lines := bufio.NewReaderSize(r, maxBreachedLine)
	for long := false; ; {
		line, err := lines.ReadSlice('\n')
		skip := long
		long = errors.Is(err, bufio.ErrBufferFull)
		if sum, ok := breachedSum(line); ok && !skip && !long {
			f(sum)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !long:
			return err
		}
	}
}

// breachedSum returns the hash of a line.
func breachedSum(line []byte) (sum [sha1.Size]byte, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	word, count, _ := bytes.Cut(line, []byte{':'})
	if len(word) == hex.EncodedLen(len(sum)) && len(bytes.Trim(count, "0123456789")) == 0 {
		if _, err := hex.Decode(sum[:], word); err == nil {
			return sum, true
		}
	}
	line = norm.NFC.Bytes(line)
	return sha1.Sum(line), 0 < len(line) && len(line) <= maxPassword
}

// Breached is a file with a list of breached passwords, which can be replaced while it is in use. A nil Breached
// contains no passwords.
type Breached struct {
	path string
	log  *slog.Logger

	mu   sync.RWMutex
	list *BreachedList
	file *os.File
}

// OpenBreached opens a file. Without a path it returns nil.
func OpenBreached(path string, log *slog.Logger) (*Breached, error) {
	if path == "" {
		return nil, nil
	}
	b := &Breached{path: path, log: log}
	return b, b.Reload()
}

// Reload opens the file again, which may have been replaced. After an error the previous list stays in force.
func (b *Breached) Reload() error {
	if b == nil {
		return nil
	}
	file, err := os.Open(b.path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	list, err := ReadBreachedList(file, info.Size())
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", b.path, err), file.Close())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	previous := b.file
	b.list, b.file = list, file
	if previous == nil {
		return nil
	}
	return previous.Close()
}

// Contains reports whether the list contains a password, or seems to. If the file cannot be read any more, it logs the
// error and reports false: the list is an additional check, and without it no account could be created.
func (b *Breached) Contains(password string) bool {
	if b == nil {
		return false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	found, err := b.list.Contains(password)
	if err != nil {
		b.log.Error("breached passwords are not refused, because their list cannot be read", "error", err)
	}
	return found
}

// Close closes the file.
func (b *Breached) Close() error {
	if b == nil {
		return nil
	}
	return b.file.Close()
}
