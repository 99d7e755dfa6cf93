package invocation

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// Secrets sign what is sent to a webhook (Standard Webhooks). They are never shown, also not by fmt.
type Secrets []string

// String hides the secrets.
func (s Secrets) String() string { return fmt.Sprintf("[%d secrets]", len(s)) }

// GoString hides the secrets.
func (s Secrets) GoString() string { return s.String() }

// MarshalText hides the secrets.
func (s Secrets) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Bounds of Standard Webhooks: 24 to 64 bytes. Two secrets are for the time of a change.
const (
	secretPrefix   = "whsec_"
	minSecret      = 24
	maxSecret      = 64
	maxSecretCount = 2
)

func (s Secrets) check(bad *InvalidError) {
	bad.check(len(s) <= maxSecretCount, "webhook.secrets", "must be at most %d, are %d", maxSecretCount, len(s))
	for n, secret := range s {
		bad.check(validSecret(secret), fmt.Sprintf("webhook.secrets[%d]", n), "must be %q and %d to %d bytes in base64", secretPrefix, minSecret, maxSecret)
	}
}

func validSecret(secret string) bool {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(key) >= minSecret && len(key) <= maxSecret
}
