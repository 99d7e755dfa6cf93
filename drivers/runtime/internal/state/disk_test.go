package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestAWriteLeavesTheOldRecordOrTheNewOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	type record struct{ N int }
	full := false
	d := Disk{At: func(string) error {
		if full {
			return syscall.ENOSPC
		}
		return nil
	}}
	if err := d.Write(path, record{1}); err != nil {
		t.Fatal(err)
	}
	full = true
	if err := d.Write(path, record{2}); !errors.Is(err, problem.ResourceExhausted) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "y.json.tmp"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []record
	if err := Load(dir, func(r *record) error { got = append(got, *r); return nil }); err != nil || len(got) != 1 || got[0].N != 1 {
		t.Errorf("got %v, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("these are left: %v, %v", entries, err)
	}
}

func TestFileNamesAreSafeAndUnique(t *testing.T) {
	long := strings.Repeat("a", 200)
	names := []string{"prod/web", "prod~web", "prod", "Prod", "web-1", "a b", "a_b", long, long + "b", ".", "..", "../x", "x.json", ".tmp"}
	seen := make(map[string]string)
	for _, name := range names {
		file := FileName(name)
		if len(file) > 200 || file == "" || file[0] == '.' || strings.ContainsAny(file, "/ ") {
			t.Errorf("%q becomes %q", name, file)
		}
		key := strings.ToLower(file)
		if other, taken := seen[key]; taken {
			t.Errorf("%q and %q become %q", name, other, file)
		}
		seen[key] = name
	}
	if FileName("prod/web") != "prod~web" {
		t.Errorf("a plain name is not readable: %s", FileName("prod/web"))
	}
}
