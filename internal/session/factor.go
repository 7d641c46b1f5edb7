package session

import (
	"fmt"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// AddMethods records in tx that the user of a session has proved further methods. It moves no auth_time. Access tokens
// show the methods after the next refresh.
func AddMethods(tx *store.Tx, id ID, methods ...string) error {
	united, err := unite(tx, id, methods)
	if err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE sessions SET amr = $2 WHERE id = $1", id, strings.Join(united, " ")); err != nil {
		return fmt.Errorf("add methods to session: %w", err)
	}
	return nil
}

// lower withdraws the methods that a code or a recovery code added to column. A verified passkey (user) is two factors
// by itself, and keeps mfa.
func lower(column string) string {
	return fmt.Sprintf(`%[1]s = TRIM(REPLACE(REPLACE(CASE WHEN ' ' || %[1]s || ' ' LIKE '%% user %%'
		THEN ' ' || %[1]s || ' ' ELSE REPLACE(' ' || %[1]s || ' ', ' mfa ', ' ') END, ' otp ', ' '), ' recovery ', ' '))`,
		column)
}

var lowerAll = "UPDATE sessions SET " + lower("amr") + ", " + lower("prior_amr") + " WHERE user_id = $1"

// Lower withdraws in tx what codes have proved in the sessions of user, because the factor was removed or replaced, and
// makes all access tokens issued so far stale.
func (s *Service) Lower(tx *store.Tx, user token.UserID) error {
	if _, err := tx.Exec(lowerAll, user); err != nil {
		return fmt.Errorf("lower sessions: %w", err)
	}
	return s.MarkStale(tx, user)
}

// lowerPasskeys withdraws the methods of passkeys from column. A code keeps mfa.
func lowerPasskeys(column string) string {
	return fmt.Sprintf(`%[1]s = TRIM(REPLACE(REPLACE(REPLACE(CASE WHEN ' ' || %[1]s || ' ' LIKE '%% otp %%'
		OR ' ' || %[1]s || ' ' LIKE '%% recovery %%' THEN ' ' || %[1]s || ' '
		ELSE REPLACE(' ' || %[1]s || ' ', ' mfa ', ' ') END, ' hwk ', ' '), ' swk ', ' '), ' user ', ' '))`, column)
}

var lowerAllPasskeys = "UPDATE sessions SET " + lowerPasskeys("amr") + ", " + lowerPasskeys("prior_amr") +
	" WHERE user_id = $1"

// LowerPasskeys withdraws in tx what passkeys have proved in the sessions of user, because one of them was removed, and
// makes all access tokens issued so far stale.
func (s *Service) LowerPasskeys(tx *store.Tx, user token.UserID) error {
	if _, err := tx.Exec(lowerAllPasskeys, user); err != nil {
		return fmt.Errorf("lower sessions: %w", err)
	}
	return s.MarkStale(tx, user)
}

// HasProvedFactor reports whether a session has proved two factors, and the last complete proof is not older than age.
func HasProvedFactor(tx *store.Tx, id ID, age time.Duration) (proved bool, err error) {
	err = tx.Get(&proved, `SELECT EXISTS (SELECT 1 FROM sessions
		WHERE id = $1 AND ' ' || amr || ' ' LIKE '% mfa %' AND auth_time >= now_us() - $2)`, id, age.Microseconds())
	if err != nil {
		return false, fmt.Errorf("read proofs of session: %w", err)
	}
	return proved, nil
}
