package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds what is read of one file.
const maxFile = 8 << 20

// Read reads the documents of files, folders (their .yaml, .yml and .json files, not those of folders inside) and,
// for "-", of stdin. The documents come in the order of Kinds and, within a kind, of the files. The error is a
// Mistakes when the files could be read and something in them is wrong.
func Read(paths []string, stdin io.Reader) ([]Document, error) {
	var docs []Document
	var mistakes Mistakes
	for _, path := range paths {
		files, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			data, name, err := load(file, stdin)
			if err != nil {
				return nil, err
			}
			more, wrong := Parse(name, data)
			docs, mistakes = append(docs, more...), append(mistakes, wrong...)
		}
	}
	if err := mistakes.orNil(); err != nil {
		return nil, err
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("nothing to read in %s: no document in it", strings.Join(paths, ", "))
	}
	order := Kinds()
	slices.SortStableFunc(docs, func(a, b Document) int {
		return slices.Index(order, a.Kind) - slices.Index(order, b.Kind)
	})
	return docs, nil
}

// Parse reads the documents of one file.
func Parse(file string, data []byte) ([]Document, Mistakes) {
	nodes, wrong := parseNodes(file, data)
	if len(wrong) > 0 {
		return nil, wrong
	}
	var docs []Document
	for _, node := range nodes {
		w := &walker{file: file, fields: map[string]Position{}}
		if doc, ok := w.document(node); ok {
			docs = append(docs, doc)
		}
		wrong = append(wrong, w.mistakes...)
	}
	return docs, wrong
}

// ParseNode reads a resource that stands in another document of a file, as it would stand under the key of its kind.
func ParseNode(file string, kind Kind, node *yaml.Node) (Document, Mistakes) {
	w := &walker{file: file, fields: map[string]Position{}}
	doc, _ := w.document(&yaml.Node{
		Kind: yaml.MappingNode, Tag: "!!map", Line: node.Line, Column: node.Column,
		Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(kind), Line: node.Line, Column: node.Column}, node},
	})
	return doc, w.mistakes
}

func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	var files []string
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".yaml", ".yml", ".json":
			if !e.IsDir() {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("cannot read %s: the folder has no .yaml, .yml or .json file", path)
	}
	return files, nil
}

func load(file string, stdin io.Reader) (data []byte, name string, err error) {
	source, name := stdin, "stdin"
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, "", unreadable(file, err)
		}
		defer f.Close()
		source, name = f, file
	}
	data, err = io.ReadAll(io.LimitReader(source, maxFile+1))
	if err != nil {
		return nil, "", unreadable(name, err)
	}
	if len(data) > maxFile {
		return nil, "", fmt.Errorf("cannot read %s: it is larger than %d MiB", name, maxFile>>20)
	}
	return data, name, nil
}

func unreadable(path string, err error) error {
	pe := &fs.PathError{}
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot read %s: %w", path, err)
}
