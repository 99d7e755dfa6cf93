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

// carry lays what the hook returned over the details of this invocation, and keeps it for later ones of the same hook in
// the same deployment (ECS: hookDetails). When it grows too large, nothing is carried.
func (i *Invocation) carry(returned Details) error {
	details, err := i.Details.Merge(returned)
	if err != nil {
		return err
	}
	kept, err := i.Returned.Merge(returned)
	if err != nil {
		return err
	}
	i.Details, i.Returned = details, kept
	return nil
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
