package appspec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// MaxSize is how many bytes a file may have.
const MaxSize = 100 << 10

// maxViolations is how many broken rules an Error tells of.
const maxViolations = 32

// Parse reads a file. What is wrong with it is an *Error that names the broken rules.
func Parse(content []byte) (*AppSpec, error) {
	if len(content) > MaxSize {
		return nil, &Error{[]Violation{{"", fmt.Sprintf("must have at most %d bytes, has %d", MaxSize, len(content))}}}
	}
	var doc yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(content))
	if err := in.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{[]Violation{{"", "is neither YAML nor JSON: " + err.Error()}}}
	}
	if err := in.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, &Error{[]Violation{{"", "must be one document"}}}
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, &Error{[]Violation{{"", "must be a mapping with version, Resources and Hooks"}}}
	}
	p := &parser{}
	p.root(doc.Content[0])
	if len(p.violations) > 0 {
		return nil, &Error{p.violations[:min(len(p.violations), maxViolations)]}
	}
	return &p.spec, nil
}

type parser struct {
	spec       AppSpec
	violations []Violation
}

func (p *parser) fail(path, rule string, args ...any) {
	p.violations = append(p.violations, Violation{path, fmt.Sprintf(rule, args...)})
}

// keys reads a mapping: known keys by their readers, others are refused with the nearest known one.
func (p *parser) keys(path string, n *yaml.Node, known map[string]func(path string, n *yaml.Node), required ...string) {
	n = resolved(n)
	if n.Kind != yaml.MappingNode {
		p.fail(path, "must be a mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		at := join(path, key)
		switch read, ok := known[key]; {
		case seen[key]:
			p.fail(at, "is there twice")
		case ok:
			read(at, resolved(n.Content[i+1]))
		default:
			p.fail(at, "is no key of an AppSpec%s", suggest(key, slices.Sorted(maps.Keys(known))))
		}
		seen[key] = true
	}
	for _, key := range required {
		if !seen[key] {
			p.fail(join(path, key), "is needed")
		}
	}
}

// resolved is what an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// text returns a reader of a string that is needed.
func (p *parser) text(into *string) func(string, *yaml.Node) {
	return func(path string, n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value == "" || n.Tag == "!!null" {
			p.fail(path, "must be a string that is not empty")
			return
		}
		*into = n.Value
	}
}

func (p *parser) port(path string, n *yaml.Node) {
	port, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || port < 1 || port > 65535 {
		p.fail(path, "must be a number from 1 to 65535")
		return
	}
	p.spec.ContainerPort = port
}

func (p *parser) version(path string, n *yaml.Node) {
	v, err := strconv.ParseFloat(n.Value, 64)
	if n.Kind != yaml.ScalarNode || err != nil || v != 0 {
		p.fail(path, "must be 0.0")
	}
}

// ignored notes what AWS alone needs.
func (p *parser) ignored(path string, _ *yaml.Node) { p.spec.Ignored = append(p.spec.Ignored, path) }
