// Package guardtest owns a second schema, for tests of the guard only. It has every shape of interface, union, list,
// owner and payload that the product's schema lacks. Its resolvers check nothing.
package guardtest

import (
	"context"
	_ "embed"
	"sync/atomic"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/generated"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/model"
	"github.com/graphwarden/graphwarden/internal/token"
)

//go:generate go run ../../codegen

// SDL is the text of the schema.
//
//go:embed schema.graphqls
var SDL string

// Alice owns every object that has an owner.
const Alice token.UserID = "alice"

// Load parses the schema.
func Load() *ast.Schema {
	schema := gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphqls", Input: SDL})
	delete(schema.Directives, "defer")
	return schema
}

// Resolver returns fixed values and counts the calls of its mutations.
type Resolver struct {
	Opened, Fed, Entered atomic.Int32
	// Bell is the source of the subscription rings.
	Bell chan int32
}

// Visit implements generated.ResolverRoot.
func (r *Resolver) Visit() generated.VisitResolver { return visit{} }

// Keep implements generated.ResolverRoot.
func (r *Resolver) Keep() generated.KeepResolver { return keep{r} }

// Watch implements generated.ResolverRoot.
func (r *Resolver) Watch() generated.WatchResolver { return watch{r} }

// Person implements generated.ResolverRoot.
func (r *Resolver) Person() generated.PersonResolver { return person{} }

func cat() *model.Cat {
	return &model.Cat{Name: "Tom", Lives: 9, Friend: poster(), Kittens: []*model.Cat{{Name: "Tim", Lives: 9}}}
}

func vault() *model.Vault { return &model.Vault{Name: "vault", Secret: "gold"} }

func poster() *model.Poster {
	return &model.Poster{Name: "poster", Text: "Come in", Price: 3, Cat: &model.Cat{Name: "Tom"}, Vault: vault()}
}

func diary(owner token.UserID) *model.Diary {
	return &model.Diary{Owner: owner, Name: "diary", Secret: "love", Entries: []model.Entry{entry(owner), entry("bob")}}
}

func entry(owner token.UserID) model.Entry {
	return model.Entry{Owner: owner, Text: "dear diary", Cover: "leather"}
}

func keeperOf(id token.UserID) *model.Person {
	return &model.Person{ID: id, Email: string(id) + "@example.com", Diary: diary(id)}
}

func cage() *model.Cage {
	return &model.Cage{
		Owner:       Alice,
		Inherited:   "a",
		Open:        "b",
		SignedIn:    "c",
		Keeper:      "d",
		Either:      "e",
		Recent:      "f",
		RecentAdmin: "g",
		RecentOwner: "h",

		Verified:       "i",
		VerifiedKeeper: "j",
		VerifiedOwner:  "k",
		Unverified:     "l",
		Factor:         "m",
		FactorKeeper:   "n",
		NoFactor:       "o",
	}
}

// Ticket signs in id, as a user without roles whose last proof was at now. Only Alice has a verified address and
// has proved a second factor.
func Ticket(id token.UserID, now time.Time) *model.Ticket {
	t := &model.Ticket{
		Claims: token.Claims{UserID: id, SessionID: "session of " + token.SessionID(id), AuthTime: now},
		Token:  "token of " + string(id), Person: keeperOf(id), Diary: diary(id), Cage: cage(),
	}
	if id == Alice {
		t.Claims.EmailVerified, t.Claims.HasFactor, t.Claims.Methods = true, true, []string{token.MultiFactor}
	}
	return t
}

// of returns the object called kind, as a pointer or as a value, since resolvers may return both.
func of(kind string) any {
	switch kind {
	case "Cat":
		return cat()
	case "Cat value":
		return *cat()
	case "Dog":
		return &model.Dog{Name: "Rex", Tag: 12}
	case "Dog value":
		return model.Dog{Name: "Rex", Tag: 12}
	case "Bird":
		return &model.Flyer{Name: "Tweety"}
	case "Bird value":
		return model.Flyer{Name: "Tweety"}
	case "unheard of":
		return unheard{}
	case "Vault":
		return vault()
	case "Vault value":
		return *vault()
	case "Poster":
		return poster()
	case "Diary":
		return diary(Alice)
	case "Diary value":
		return *diary(Alice)
	case "nil Vault":
		return (*model.Vault)(nil)
	}
	return nil
}

// unheard is Named in Go, but has no type in the schema.
type unheard struct{}

// IsNamed makes unheard Named.
func (unheard) IsNamed() {}

type visit struct{}

func (visit) Cat(context.Context) (*model.Cat, error)             { return cat(), nil }
func (visit) Vault(context.Context) (*model.Vault, error)         { return vault(), nil }
func (visit) Poster(context.Context) (*model.Poster, error)       { return poster(), nil }
func (visit) Cage(context.Context) (*model.Cage, error)           { return cage(), nil }
func (visit) Badge(context.Context) (*model.Badge, error)         { return &model.Badge{Number: 7}, nil }
func (visit) Verified(context.Context) (*model.Poster, error)     { return poster(), nil }
func (visit) Bunker(context.Context) (*model.Bunker, error)       { return &model.Bunker{Gold: 100}, nil }
func (visit) Factor(context.Context) (*model.Poster, error)       { return poster(), nil }
func (visit) Enroll(context.Context) (*model.Poster, error)       { return poster(), nil }
func (visit) EnrollKeeper(context.Context) (*model.Poster, error) { return poster(), nil }
func (visit) NoSetup(context.Context) (*model.Poster, error)      { return poster(), nil }
func (visit) Safe(context.Context) (*model.Safe, error)           { return &model.Safe{Gold: 100}, nil }
func (visit) Stray(context.Context) (*model.Stray, error)         { return &model.Stray{Name: "Rex"}, nil }
func (visit) Admin(context.Context) (*model.Poster, error)        { return poster(), nil }
func (visit) Keeper(context.Context) (*model.Poster, error)       { return poster(), nil }
func (visit) Recent(context.Context) (*model.Poster, error)       { return poster(), nil }

func (visit) Diary(_ context.Context, owner *string) (*model.Diary, error) {
	if owner == nil {
		return diary(Alice), nil
	}
	return diary(token.UserID(*owner)), nil
}

// Diaries returns a list with a nil element.
func (visit) Diaries(context.Context) ([]*model.Diary, error) {
	return []*model.Diary{diary(Alice), nil, diary(Alice)}, nil
}

func (visit) Entries(context.Context) ([]*model.Entry, error) {
	mine, other := entry(Alice), entry("bob")
	return []*model.Entry{&mine, &other}, nil
}

func (visit) Locker(context.Context) (*model.Locker, error) {
	own := entry(Alice)
	return &model.Locker{
		Owner:   Alice,
		Number:  7,
		Content: "boots",
		Stray:   model.Stray{Name: "Rex"},
		Entry:   entry(Alice),
		Maybe:   &own,
	}, nil
}

func (visit) Named(_ context.Context, kind string) (model.Named, error) {
	named, _ := of(kind).(model.Named)
	return named, nil
}

func (visit) Secretive(_ context.Context, kind string) (model.Secretive, error) {
	secretive, _ := of(kind).(model.Secretive)
	return secretive, nil
}

func (visit) Exhibit(_ context.Context, kind string) (model.Exhibit, error) {
	exhibit, _ := of(kind).(model.Exhibit)
	return exhibit, nil
}

func (visit) Names(context.Context) ([]model.Named, error) {
	return []model.Named{cat(), vault(), poster(), diary(Alice)}, nil
}

func (visit) Row(_ context.Context, kind string) ([]model.Named, error) {
	named, _ := of(kind).(model.Named)
	return []model.Named{poster(), named}, nil
}

func (visit) Nested(context.Context) ([][]model.Named, error) {
	return [][]model.Named{{poster(), nil}, {*cat()}}, nil
}

func (visit) Exhibits(context.Context) ([][]model.Exhibit, error) {
	return [][]model.Exhibit{{poster()}, {vault()}}, nil
}

// Me returns the caller according to the guard.
func (visit) Me(ctx context.Context) (*model.Person, error) {
	return keeperOf(guard.Caller(ctx).UserID), nil
}

func (visit) Lobby(context.Context) (*model.Lobby, error) {
	return &model.Lobby{Before: keeperOf(Alice), Ticket: Ticket(Alice, time.Now()), After: keeperOf(Alice)}, nil
}

func (visit) Tickets(context.Context) ([]*model.Ticket, error) {
	return []*model.Ticket{Ticket(Alice, time.Now()), nil, Ticket("bob", time.Now())}, nil
}

// NoTicket returns a typed nil.
func (visit) NoTicket(context.Context) (*model.Ticket, error) { return nil, nil }

func (visit) Pass(context.Context) (model.Pass, error) { return Ticket(Alice, time.Now()), nil }

type keep struct{ r *Resolver }

func (k keep) Open(context.Context) (int32, error) { return k.r.Opened.Add(1), nil }
func (k keep) Feed(context.Context) (int32, error) { return k.r.Fed.Add(1), nil }

// Enter signs in with a ticket that contains two more, one of them behind a union.
func (k keep) Enter(_ context.Context, as string) (*model.Ticket, error) {
	k.r.Entered.Add(1)
	ticket := Ticket(token.UserID(as), time.Now())
	ticket.Friend, ticket.Other = Ticket("friend", time.Now()), Ticket("other", time.Now())
	return ticket, nil
}

type watch struct{ r *Resolver }

func stream[T any](values ...T) (<-chan T, error) {
	stream := make(chan T, len(values))
	for _, value := range values {
		stream <- value
	}
	close(stream)
	return stream, nil
}

func (watch) Ticks(context.Context) (<-chan int32, error)          { return stream[int32](1) }
func (watch) Cats(context.Context) (<-chan *model.Cat, error)      { return stream(cat()) }
func (watch) Strangers(context.Context) (<-chan *model.Cat, error) { return stream(cat()) }

// Diaries sends one of Bob's between two of Alice's.
func (watch) Diaries(context.Context) (<-chan *model.Diary, error) {
	return stream(diary(Alice), diary("bob"), diary(Alice))
}

func (watch) Exhibits(context.Context) (<-chan model.Exhibit, error) {
	return stream[model.Exhibit](poster(), vault(), diary(Alice))
}

// Vaults never sends an event.
func (watch) Vaults(context.Context) (<-chan *model.Vault, error) { return stream[*model.Vault]() }

func (w watch) Rings(context.Context) (<-chan int32, error) { return w.r.Bell, nil }

type person struct{}

func (person) Caller(ctx context.Context, _ *model.Person) (string, error) {
	return string(guard.Caller(ctx).UserID), nil
}
