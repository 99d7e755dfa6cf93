package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// show writes an answer of the API as --output asks: as it is, or for people by the function.
func (c *cli) show(answer proto.Message, people func() error) error {
	if c.output == "table" {
		return people()
	}
	return c.document(answer)
}

// document writes an answer of the API as one document: JSON over several lines, or YAML.
func (c *cli) document(answer proto.Message) error {
	data, err := encode(answer)
	if err != nil {
		return err
	}
	return c.raw(data)
}

// raw writes JSON as a document.
func (c *cli) raw(data []byte) error {
	if c.output == "yaml" {
		text, err := toYAML(data)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "---\n%s", text)
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, b.String())
	return err
}

// item writes an answer that is one of a stream: JSON in one line, or a document of YAML.
func (c *cli) item(answer proto.Message) error {
	data, err := encode(answer)
	if err != nil || c.output == "yaml" {
		return firstError(err, func() error { return c.raw(data) })
	}
	_, err = fmt.Fprintf(c.out, "%s\n", data)
	return err
}

func firstError(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}

// encode is protojson in one line. protojson itself varies its spaces from build to build.
func encode(answer proto.Message) ([]byte, error) {
	data, err := protojson.Marshal(answer)
	if err != nil {
		return nil, fmt.Errorf("write the answer as JSON: %w", err)
	}
	var b bytes.Buffer
	err = json.Compact(&b, data)
	return b.Bytes(), err
}

// toYAML is the same as JSON, in block style and in the same order.
func toYAML(data []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, fmt.Errorf("write the answer as YAML: %w", err)
	}
	blockStyle(&node)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return nil, fmt.Errorf("write the answer as YAML: %w", err)
	}
	return b.Bytes(), nil
}

func blockStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, child := range n.Content {
		blockStyle(child)
	}
}
