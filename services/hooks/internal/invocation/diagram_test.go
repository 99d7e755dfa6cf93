package invocation

import (
	"os"
	"strings"
	"testing"
)

// The diagram in the service's README is the table's.
func TestDiagramOfTheREADME(t *testing.T) {
	const file, begin, end = "../../README.md", "```mermaid\n", "```\n"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no mermaid diagram", file)
	}
	want := before + begin + Diagram() + end + after
	if *rewrite {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(raw) {
		t.Errorf("the diagram differs from the transitions (-rewrite); it should be\n%s", Diagram())
	}
}
