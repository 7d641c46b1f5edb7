// Package userfile reads account exports of other systems: JSON (one object per line, or an array) and CSV with a
// header row, in UTF-8 or UTF-16.
//
// It promises that an unknown field is an error, that every problem has a line number, and that no error contains a
// password hash. It does not know which accounts exist, and does not check addresses, names or hashes.
package userfile
