package manifest

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// wellKnown returns how to walk a message that protojson does not write as an object of its fields.
func wellKnown(name protoreflect.FullName) (func(*walker, *yaml.Node, path, int) any, bool) {
	switch name {
	case "google.protobuf.Duration":
		return (*walker).duration, true
	case "google.protobuf.Timestamp":
		return (*walker).timestamp, true
	case "google.protobuf.FieldMask":
		return (*walker).mask, true
	case "google.protobuf.Struct":
		return (*walker).object, true
	case "google.protobuf.Value":
		return (*walker).free, true
	}
	return nil, false
}

var seconds = regexp.MustCompile(`^-?\d+(\.\d{1,9})?s$`)

// duration takes protojson's "90s" and Go's "1m30s".
func (w *walker) duration(n *yaml.Node, at path, _ int) any {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if seconds.MatchString(n.Value) {
			return n.Value
		}
		if d, err := time.ParseDuration(n.Value); err == nil {
			return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s"
		}
	}
	w.wrong(n, `%s must be a duration such as "30s" or "5m", not %s`, at.json, describe(n))
	return nil
}

func (w *walker) timestamp(n *yaml.Node, at path, _ int) any {
	if n.Kind == yaml.ScalarNode {
		if _, err := time.Parse(time.RFC3339Nano, n.Value); err == nil {
			return n.Value
		}
	}
	w.wrong(n, `%s must be a time such as "2026-01-31T15:04:05Z", not %s`, at.json, describe(n))
	return nil
}

func (w *walker) mask(n *yaml.Node, at path, _ int) any {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && !strings.Contains(n.Value, "_") {
		return n.Value
	}
	w.wrong(n, `%s must be names with commas between them, such as "desiredCount,loadBalancer", not %s`, at.json, describe(n))
	return nil
}

func (w *walker) object(n *yaml.Node, at path, depth int) any {
	if n.Kind != yaml.MappingNode {
		w.wrong(n, "%s must be an object, not %s", at.json, describe(n))
		return nil
	}
	return w.free(n, at, depth)
}

// free walks any value at all, for details that the contract leaves to the user.
func (w *walker) free(n *yaml.Node, at path, depth int) any {
	n, ok := w.enter(n, depth)
	if !ok {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			list = append(list, w.free(item, at.index(i), depth+1))
		}
		return list
	case yaml.MappingNode:
		tree := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, twice := tree[key]; twice {
				w.wrong(n.Content[i], "field %q is there twice", key)
			}
			tree[key] = w.free(n.Content[i+1], at.index(fmt.Sprintf("%q", key)), depth+1)
		}
		return tree
	}
	return w.freeScalar(n, at)
}

func (w *walker) freeScalar(n *yaml.Node, at path) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return json.Number(strconv.FormatInt(v, 10))
		}
		fallthrough
	case "!!float":
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
		w.wrong(n, "%s must be a number that JSON can hold, not %s", at.json, n.Value)
		return nil
	}
	return n.Value
}
