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
	if _, err := merged.encode(); err != nil {
		return d, err
	}
	return merged, nil
}

func (d Details) encode() ([]byte, error) {
	encoded, err := json.Marshal(map[string]any(d))
	if err != nil {
		return nil, fmt.Errorf("hookDetails cannot be encoded: %w", err)
	}
	if len(encoded) > MaxDetails {
		return nil, fmt.Errorf("hookDetails have %d bytes, more than %d", len(encoded), MaxDetails)
	}
	return encoded, nil
}
