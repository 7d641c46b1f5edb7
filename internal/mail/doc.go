// Package mail owns the outbox: mails to users, their templates and their delivery by SMTP. A mail is written in the
// transaction of the change that it reports, and sent after the commit by one replica at a time.
//
// It promises that a committed mail is sent at least once unless it fails or expires, that all copies of a mail have
// the same Message-ID, and that no request waits for a mail server. Recipients and data are sealed in the database, and
// the secret of a link or code is never stored: it is requested when the mail is made. It does not know accounts and
// challenges.
package mail
