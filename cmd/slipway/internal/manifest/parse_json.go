package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep documents may be nested.
const maxDepth = 64

// jsonReader turns JSON into the trees that YAML gives. A YAML parser reads most JSON, but neither tabs nor
// surrogate pairs.
type jsonReader struct {
	decoder *json.Decoder
	data    []byte
	lines   []int // the offset at which each line begins
}

func parseJSON(file string, data []byte) ([]*yaml.Node, Mistakes) {
	r := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(data)), data: data, lines: []int{0}}
	r.decoder.UseNumber()
	for i, b := range data {
		if b == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	var nodes []*yaml.Node
	for {
		node, err := r.value(0)
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, Mistakes{r.mistake(file, err)}
		}
		nodes = append(nodes, node)
	}
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	node := r.place()
	token, err := r.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
		if t == '[' {
			node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
		}
		return node, r.content(node, depth)
	case string:
		node.Tag, node.Value, node.Style = "!!str", t, yaml.DoubleQuotedStyle
	case json.Number:
		node.Tag, node.Value = "!!int", t.String()
		if strings.ContainsAny(node.Value, ".eE") {
			node.Tag = "!!float"
		}
	case bool:
		node.Tag, node.Value = "!!bool", fmt.Sprint(t)
	default:
		node.Tag, node.Value = "!!null", "null"
	}
	return node, nil
}

// content reads what is between the delimiters of an object, its keys too, or of an array.
func (r *jsonReader) content(node *yaml.Node, depth int) error {
	for r.decoder.More() {
		child, err := r.value(depth + 1)
		if err != nil {
			return inside(err)
		}
		node.Content = append(node.Content, child)
	}
	_, err := r.decoder.Token()
	return inside(err)
}

// inside makes an end of the file inside a value what it is there: a mistake.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// place returns a node at the next token.
func (r *jsonReader) place() *yaml.Node {
	at := int(r.decoder.InputOffset())
	for at < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[at]) >= 0 {
		at++
	}
	line, column := r.lineColumn(at)
	return &yaml.Node{Kind: yaml.ScalarNode, Line: line, Column: column}
}

func (r *jsonReader) lineColumn(offset int) (line, column int) {
	line = sort.SearchInts(r.lines, offset+1)
	return line, offset - r.lines[line-1] + 1
}

func (r *jsonReader) mistake(file string, err error) Mistake {
	at := r.place()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		at.Line, at.Column = r.lineColumn(len(r.data))
		err = errors.New("it ends in the middle of a value")
	}
	return Mistake{At: Position{File: file, Line: at.Line, Column: at.Column}, Text: "not valid JSON: " + err.Error()}
}
