package invocation

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Details is a JSON object of the user's (ECS: hookDetails). It is never changed in place.
type Details map[string]any

// MaxDetails bounds the encoded details, in bytes.
const MaxDetails = 64 << 10

// Merge returns the details with what an attempt returned laid over them, top-level key by top-level key.
func (d Details) Merge(returned Details) (Details, error) {
	if len(returned) == 0 {
		return d, nil
	}
	merged := make(Details, len(d)+len(returned))
	maps.Copy(merged, d)
	maps.Copy(merged, returned)
	return merged, merged.check()
}

// check refuses what cannot be sent or stored.
func (d Details) check() error {
	encoded, err := json.Marshal(map[string]any(d))
	if err != nil {
		return fmt.Errorf("hookDetails cannot be encoded: %w", err)
	}
	if len(encoded) > MaxDetails {
		return fmt.Errorf("hookDetails have %d bytes, more than %d", len(encoded), MaxDetails)
	}
	return nil
}
