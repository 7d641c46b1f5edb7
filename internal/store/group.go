package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/jmoiron/sqlx"
)

// maxGroup is the largest number of transactions that share a commit.
const maxGroup = 64

// groups runs the transactions of SQLite's only writer. A commit waits for the disk, so transactions that wait for the
// writer run one after another, each in a savepoint, and share one commit. A failed one is rolled back alone. A
// transaction of one statement needs no savepoint. Callers get their results after the commit.
type groups struct {
	write *pool

	mu      sync.Mutex
	waiting []*member
	running sync.WaitGroup
	active  bool // a goroutine is running groups
}

// member is a transaction in a group. Its function runs on its caller's goroutine.
type member struct {
	ctx     context.Context
	single  bool          // whether the function runs one statement
	turn    chan *sqlx.Tx // when to run the function
	ran     chan error    // the result of the function
	missed  []string      // the statements to prepare; set before ran
	outcome chan error    // the result of the transaction; buffered
}

var errAborted = errors.New("the function of the transaction did not return")

// do runs f as a member of a group and returns after the commit. It may run f more than once.
func (g *groups) do(ctx context.Context, single bool, f func(*sqlx.Tx) (missed []string, err error)) error {
	m := &member{ctx: ctx, single: single, turn: make(chan *sqlx.Tx), ran: make(chan error),
		outcome: make(chan error, 1)}
	g.join(m)
	left := ctx.Done()
	for {
		select {
		case <-left:
			if g.leave(m) {
				return fmt.Errorf("begin: %w", outage{ctx.Err()})
			}
			left = nil // it has left the queue: its turn or outcome follows
		case tx := <-m.turn:
			m.run(tx, f)
		case err := <-m.outcome:
			return err
		}
	}
}

// run calls f. If f panics or ends its goroutine, the group continues without this member.
func (m *member) run(tx *sqlx.Tx, f func(*sqlx.Tx) ([]string, error)) {
	err := errAborted
	defer func() { m.ran <- err }()
	m.missed, err = f(tx)
}

func (g *groups) join(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, m)
	if !g.active {
		g.active = true
		g.running.Go(g.work)
	}
}

// leave removes m from the queue. It returns false if m is not in it.
func (g *groups) leave(m *member) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, m)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	return true
}

// next removes the first member from the queue; nil if it is empty.
func (g *groups) next() *member {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		return nil
	}
	m := g.waiting[0]
	g.waiting = g.waiting[1:]
	return m
}

// work runs groups until no member waits.
func (g *groups) work() {
	for {
		g.mu.Lock()
		waiting := slices.Clone(g.waiting)
		g.active = len(waiting) > 0
		g.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		ctx := context.WithoutCancel(waiting[0].ctx)
		tx, err := g.write.db.BeginTxx(ctx, nil)
		if err != nil {
			for _, m := range waiting {
				if g.leave(m) {
					m.outcome <- fmt.Errorf("begin: %w", outage{err})
				}
			}
			continue
		}
		for _, m := range g.group(tx) {
			g.write.prepare(ctx, m.missed)
		}
	}
}

// group runs waiting members in tx and commits it. It returns those that ran.
func (g *groups) group(tx *sqlx.Tx) (ran []*member) {
	defer func() { _ = tx.Rollback() }() // has no effect after the commit
	var done []*member
	for len(ran) < maxGroup {
		m := g.next()
		if m == nil {
			// The flush may keep this processor. Requests that can join without waiting come first.
			runtime.Gosched()
			if m = g.next(); m == nil {
				break
			}
		}
		ran = append(ran, m)
		err := g.runOne(tx, m, len(done) == 0)
		switch {
		case err == nil:
			done = append(done, m)
		case m.single && errors.Is(err, sql.ErrNoRows):
			// nothing was changed
		case errors.Is(err, errTransactionLost):
			g.again(done)
			return ran
		case len(done) == 0:
			return ran // only this member ran: the rollback affects no other
		}
	}
	err := tx.Commit()
	if err != nil {
		err = fmt.Errorf("commit: %w", err)
	}
	for _, m := range done {
		m.outcome <- err
	}
	return ran
}

// errTransactionLost means that SQLite rolled back the transaction of the whole group, as it does after some errors.
var errTransactionLost = errors.New("the transaction was rolled back")

// runOne runs a member. The first of a group runs without a savepoint. After an error the member has its outcome.
func (g *groups) runOne(tx *sqlx.Tx, m *member, first bool) error {
	if m.single {
		return m.runSingle(tx)
	}
	uncancelled := context.WithoutCancel(m.ctx)
	if !first {
		if _, err := tx.ExecContext(uncancelled, "SAVEPOINT member"); err != nil {
			m.outcome <- fmt.Errorf("begin: %w", err)
			return errTransactionLost
		}
	}
	m.turn <- tx
	err := <-m.ran
	if err == nil && m.ctx.Err() != nil {
		err = fmt.Errorf("commit: %w", m.ctx.Err())
	}
	if first {
		if err != nil {
			m.outcome <- err
		}
		return err
	}
	end := "RELEASE member"
	if err != nil {
		end = "ROLLBACK TO member; RELEASE member"
	}
	_, lost := tx.ExecContext(uncancelled, end)
	if lost != nil && err == nil {
		err = fmt.Errorf("commit: %w", lost)
	}
	if err != nil {
		m.outcome <- err
	}
	if lost != nil {
		return errTransactionLost
	}
	return err
}

// runSingle runs a member of one statement. It reports any failure as the loss of the transaction, which it may be.
func (m *member) runSingle(tx *sqlx.Tx) error {
	m.turn <- tx
	err := <-m.ran
	if err == nil {
		return nil
	}
	m.outcome <- err
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return errTransactionLost
}

// again puts members back at the front of the queue.
func (g *groups) again(members []*member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.Concat(members, g.waiting)
}
