package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func all(t *testing.T, l *logFile, from int64) string {
	t.Helper()
	var out bytes.Buffer
	r := &logReader{log: l, place: from, w: &out}
	if err := r.copy(t.Context()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTailFindsTheLastLines(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, row := range []struct {
		older, text string
		n           int
		want        string
	}{
		{"", "", 3, ""},
		{"", "a\nb\nc\n", 2, "b\nc\n"},
		{"", "a\nb\nc", 2, "b\nc"},
		{"", "a\nb\n", 2, "a\nb\n"},
		{"", "a\nb\n", 5, "a\nb\n"},
		{"", "\n\n\n", 2, "\n\n"},
		{"", "a\nb\n", 0, ""},
		{"", "a\nb\n", -1, "a\nb\n"},
		{"a\nb\n", "c\n", 2, "b\nc\n"},
		{"a\nb", "c\nd\n", 2, "bc\nd\n"},
		{"a\nb\n", "", 1, "b\n"},
		{"a\nb\n", "c\n", -1, "a\nb\nc\n"},
		{long + "\n" + long + "\n", long + "\nz\n", 2, long + "\nz\n"},
		{long + "\ny\n" + long, long + "\n", 2, "y\n" + long + long + "\n"},
	} {
		path := filepath.Join(t.TempDir(), "app.log")
		appendTo(t, path, row.text)
		if row.older != "" {
			appendTo(t, path+".1", row.older)
		}
		l := newLogFile(path)
		place, err := l.tail(row.n)
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, l, place); got != row.want {
			t.Errorf("older %.20q, text %.20q, tail %d: got %.20q (%d bytes), want %.20q (%d bytes)",
				row.older, row.text, row.n, got, len(got), row.want, len(row.want))
		}
	}
}

func TestALogStaysSmallAndAFollowerLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := newLogFile(path)
	const limit = 1000
	var want, got strings.Builder
	r := &logReader{log: l, w: &got}
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		appendTo(t, path, line)
		if i%7 == 0 { // less often than the log is cut would be too late
			if err := r.copy(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.cut(limit); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{path, path + ".1"} {
			if info, err := os.Stat(file); err == nil && info.Size() > limit+int64(len(line)) {
				t.Fatalf("%s has %d bytes", file, info.Size())
			}
		}
	}
	if err := r.copy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("the follower got %d bytes of %d", got.Len(), want.Len())
	}
	place, err := l.tail(1)
	if err != nil {
		t.Fatal(err)
	}
	if last := all(t, l, place); last != "line 999\n" {
		t.Errorf("the last line is %q", last)
	}
}

func TestAReaderThatIsTooSlowGoesOnWithWhatIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := newLogFile(path)
	for _, text := range []string{"one\n", "two\n", "three\n"} {
		appendTo(t, path, text)
		if err := l.cut(3); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, path, "four\n")
	if got := all(t, l, 0); got != "three\nfour\n" {
		t.Errorf("got %q", got)
	}
	appendTo(t, path, strings.Repeat("x", 1000)+"\nend\n")
	if err := l.cut(2); err != nil {
		t.Fatal(err)
	}
	if got := all(t, l, 0); got != "end\n" {
		t.Errorf("of a log that grew too fast: got %q, want its end", got)
	}
}

func TestLinesOfSeveralContainersAreToldApart(t *testing.T) {
	var out bytes.Buffer
	r := &logReader{w: &out, prefix: "app | "}
	for _, text := range []string{"one\ntw", "o\n", "\n", "three"} {
		if err := r.write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if want := "app | one\napp | two\napp | \napp | three"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
