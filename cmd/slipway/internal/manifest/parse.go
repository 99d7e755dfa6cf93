package manifest

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseNodes reads the documents of a file as trees. Empty documents are left out.
func parseNodes(file string, data []byte) ([]*yaml.Node, Mistakes) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		nodes, wrong := parseJSON(file, data)
		// Flow-style YAML begins with a brace too, so a file that is no JSON by name may still be YAML.
		if len(wrong) == 0 || filepath.Ext(file) == ".json" {
			return nodes, wrong
		}
	}
	return parseYAML(file, data)
}

func parseYAML(file string, data []byte) ([]*yaml.Node, Mistakes) {
	var nodes []*yaml.Node
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, Mistakes{yamlMistake(file, err)}
		}
		if len(node.Content) == 1 && node.Content[0].Tag != "!!null" {
			nodes = append(nodes, node.Content[0])
		}
	}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// yamlMistake takes the line out of the parser's message. For what it "did not find" the parser counts from 0.
func yamlMistake(file string, err error) Mistake {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := Position{File: file, Line: 1, Column: 1}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(text, m[0])
		if strings.HasPrefix(text, "did not find") {
			at.Line++
		}
	}
	return Mistake{At: at, Text: "not valid YAML: " + text}
}
