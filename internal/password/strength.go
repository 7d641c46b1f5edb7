package password

import (
	"context"
	"strings"

	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/match"
	"golang.org/x/text/unicode/norm"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// maxRated is the number of code points that are rated. The time grows with their cube: 128 can take half a second, 64
// take less than a hash. The rest of a longer password can only make it stronger.
const maxRated = 64

// strong is the lowest score without a hint.
const strong = 3

// Hint is what makes a password easy to guess. The SDL's enum PasswordHint has the same values.
type Hint string

// The hints.
const (
	AccountName     Hint = "ACCOUNT_NAME"
	CommonPassword  Hint = "COMMON_PASSWORD"
	CommonWord      Hint = "COMMON_WORD"
	Date            Hint = "DATE"
	KeyboardPattern Hint = "KEYBOARD_PATTERN"
	Repetition      Hint = "REPETITION"
	Sequence        Hint = "SEQUENCE"
	Short           Hint = "SHORT"
)

// message returns the hint as a sentence.
func (h Hint) message() string {
	switch h {
	case AccountName:
		return "it contains a name of the account: use words that have nothing to do with you"
	case CommonPassword:
		return "it resembles a common password: use several uncommon words"
	case CommonWord:
		return "a single word or name is easy to guess: add more words"
	case Date:
		return "dates and years are easy to guess: use words instead"
	case KeyboardPattern:
		return "neighboring keys are easy to guess: use words instead"
	case Repetition:
		return "repeating characters adds little: use more different words"
	case Sequence:
		return "sequences such as abc or 6543 are easy to guess: use words instead"
	}
	return "it is short: add more words"
}

// Strength is the rating of a new password.
type Strength struct {
	// Score is 0 to 4, the order of magnitude of guesses: below 10^3, 10^6, 10^8, 10^10, and above. It is 0 if Check
	// refuses the password.
	Score int32
	// Reason is the first problem that Check finds, or nil.
	Reason *fault.Reason
	// Hint is what makes the password easy to guess, or nil from score 3 on.
	Hint *Hint
	// Message explains Reason or Hint. It is empty if there is neither.
	Message string
}

// Rate rates a new password. problems are those that Check has found: Rate never praises a password that Check
// refuses. names are further texts that attackers try, such as the user's name. It runs in the worker pool, and its
// error is UNAVAILABLE if the queue is full or ctx ends first.
func (h *Hasher) Rate(
	ctx context.Context, password string, problems []fault.Field, names ...string,
) (*Strength, error) {
	var s Strength
	if err := h.run(ctx, func() { s = rate(password, names) }); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		s.Score, s.Reason, s.Message = 0, &problems[0].Reason, problems[0].Message
	}
	return &s, nil
}

func rate(password string, names []string) Strength {
	inputs := []string{productName}
	for _, name := range names {
		inputs = append(inputs, norm.NFC.String(name))
		inputs = append(inputs, strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" @.-_+", r) })...)
	}
	result := zxcvbn.PasswordStrength(first(norm.NFC.String(password), maxRated), inputs)
	s := Strength{Score: int32(result.Score)}
	if s.Score < strong {
		hint := hintOf(result.Sequence)
		s.Hint, s.Message = &hint, hint.message()
	}
	return s
}

// first returns the first n code points of s.
func first(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// hintOf returns the hint for the longest part that attackers try, as zxcvbn's own feedback does.
func hintOf(parts []*match.Match) Hint {
	longest := new(match.Match)
	for _, part := range parts {
		if part.Pattern != "bruteforce" && len(part.Token) > len(longest.Token) {
			longest = part
		}
	}
	switch longest.Pattern {
	case "dictionary":
		switch longest.DictionaryName {
		case "user_inputs":
			return AccountName
		case "passwords":
			return CommonPassword
		}
		return CommonWord
	case "spatial":
		return KeyboardPattern
	case "repeat":
		return Repetition
	case "sequence":
		return Sequence
	case "date", "regex":
		return Date
	}
	return Short
}
