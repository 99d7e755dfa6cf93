package subscription

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Matcher is a compiled event pattern.
type Matcher interface {
	Match(event []byte) (bool, error)
}

// Compiler compiles an event pattern.
type Compiler func(pattern []byte) (Matcher, error)

// Filter says which events a subscription is for.
type Filter struct{ any []Matcher }

// The name that is often written for ECS's detail type, and ECS's.
const (
	deploymentAlias = "ECS Service Deployment State Change"
	deploymentName  = "ECS Deployment State Change"
)

// NewFilter compiles a pattern. "" matches every event. A pattern whose detail-type names "ECS Service Deployment State
// Change" matches "ECS Deployment State Change" too, which is what ECS says.
func NewFilter(pattern string, compile Compiler) (Filter, error) {
	if pattern == "" {
		return Filter{}, nil
	}
	first, err := compile([]byte(pattern))
	if err != nil {
		return Filter{}, err
	}
	f := Filter{any: []Matcher{first}}
	if renamed, ok := withoutAlias(pattern); ok {
		second, err := compile(renamed)
		if err != nil {
			return Filter{}, err
		}
		f.any = append(f.any, second)
	}
	return f, nil
}

// Match reports whether an event in EventBridge's envelope is for the subscription.
func (f Filter) Match(event []byte) (bool, error) {
	for _, m := range f.any {
		if ok, err := m.Match(event); ok || err != nil {
			return ok, err
		}
	}
	return len(f.any) == 0, nil
}

// withoutAlias returns the pattern with the alias replaced wherever a detail-type is compared with it, and false when
// there is none.
func withoutAlias(pattern string) ([]byte, bool) {
	if !strings.Contains(pattern, "Service Deployment State Change") {
		return nil, false
	}
	dec := json.NewDecoder(strings.NewReader(pattern))
	dec.UseNumber() // a number's spelling is kept
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil || !replaceAlias(tree) {
		return nil, false
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, false
	}
	return out.Bytes(), true
}

// replaceAlias changes detail-type at the top level and in the alternatives of $or, and reports whether it did.
func replaceAlias(level map[string]any) bool {
	changed := false
	if names, ok := level["detail-type"].([]any); ok {
		for n, name := range names {
			if name == deploymentAlias {
				names[n], changed = deploymentName, true
			}
		}
	}
	if alternatives, ok := level["$or"].([]any); ok {
		for _, alternative := range alternatives {
			if tree, ok := alternative.(map[string]any); ok {
				changed = replaceAlias(tree) || changed
			}
		}
	}
	return changed
}
