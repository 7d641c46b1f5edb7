package userfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Firebase is the hash configuration of a Firebase project. Its hashes cannot be verified without it.
type Firebase struct{ signerKey, saltSeparator, rounds, memoryCost string }

// ParseFirebase parses the configuration in the format of the Firebase console, hash_config { … }, or in JSON.
func ParseFirebase(s string) (*Firebase, error) {
	words := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"',:;{}", r) })
	f := &Firebase{}
	for i := range max(len(words)-1, 0) {
		switch value := words[i+1]; fold(words[i]) {
		case "base64signerkey", "signerkey":
			f.signerKey = value
		case "base64saltseparator", "saltseparator":
			f.saltSeparator = value
		case "rounds":
			f.rounds = value
		case "memcost", "memorycost":
			f.memoryCost = value
		}
	}
	if f.signerKey == "" || f.saltSeparator == "" || f.rounds == "" || f.memoryCost == "" {
		return nil, errors.New("the hash configuration of Firebase needs " +
			"base64_signer_key, base64_salt_separator, rounds and mem_cost")
	}
	return f, nil
}

func (f *Firebase) hash(salt, sum string) string {
	return fmt.Sprintf("$fbscrypt$v=1,n=%s,r=%s,p=1,ss=%s,sk=%s$%s$%s",
		f.memoryCost, f.rounds, f.saltSeparator, f.signerKey, salt, sum)
}

// credential is a credential of Keycloak. Its data are JSON objects, usually encoded as strings.
type credential struct {
	Type           string
	SecretData     nested[secretData]
	CredentialData nested[credentialData]
}

type secretData struct{ Value, Salt string }

type credentialData struct {
	HashIterations       json.Number
	Algorithm            string
	AdditionalParameters map[string][]string
}

// nested decodes a JSON value, or a string that contains JSON.
type nested[T any] struct{ of T }

func (n *nested[T]) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		b = []byte(s)
	}
	return json.Unmarshal(b, &n.of)
}

var errCredentials = errors.New("these are not credentials of a Keycloak export")

// setCredentials stores the password hash of a Keycloak account.
func (e *Entry) setCredentials(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return errCredentials
	}
	var all []credential
	if json.Unmarshal(b, &all) != nil { // drop the error, which may contain a value
		return errCredentials
	}
	for _, c := range all {
		if c.Type != "password" {
			return errFactor
		}
		if err := put(&e.PasswordHash, c.hash()); err != nil {
			return err
		}
	}
	return nil
}

func (c *credential) hash() string {
	secret, data := c.SecretData.of, c.CredentialData.of
	if data.Algorithm != "argon2" {
		return fmt.Sprintf("$%s$%s$%s$%s", data.Algorithm, data.HashIterations, secret.Salt, secret.Value)
	}
	parameter := func(name string) string { return strings.Join(data.AdditionalParameters[name], ",") }
	version := parameter("version")
	if version == "1.3" {
		version = "19"
	}
	return fmt.Sprintf("$argon2%s$v=%s$m=%s,t=%s,p=%s$%s$%s", parameter("type"), version,
		parameter("memory"), data.HashIterations, parameter("parallelism"), secret.Salt, secret.Value)
}
