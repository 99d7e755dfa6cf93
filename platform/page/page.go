// Package page makes and reads the page tokens of List calls. A token is opaque to callers; it holds where the
// next page starts. It may be read by anyone and must hold nothing secret.
package page

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// maxToken bounds what Decode looks at, in bytes.
const maxToken = 4096

// Encode returns the token for v, a small struct of exported fields. It panics when v cannot be JSON, which only
// a defect can cause.
func Encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("page: a token of %T cannot be encoded: %v", v, err))
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// Decode reads a token that Encode made of the same type. The empty token is the first page and leaves into as it
// is. Any other text is an Invalid problem on page_token.
func Decode(token string, into any) error {
	if token == "" {
		return nil
	}
	refused := problem.Invalid("page_token", "must be a next_page_token of an earlier answer to the same call")
	if len(token) > maxToken {
		return refused
	}
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return refused.Wrap(err)
	}
	if bytes.Contains(data, []byte(`\u0000`)) {
		return refused // what a database does not take is in no token that Encode made of what it holds
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refused.Wrap(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return refused
	}
	return nil
}

// Size returns how many rows a page has: def when the caller asked for none, at most maximum.
func Size(requested, def, maximum int32) int32 {
	if requested <= 0 {
		requested = def
	}
	return min(requested, maximum)
}
