package postgresdev

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// installation makes a folder with an initdb and a postgres that says it is of the version.
func installation(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{
		"initdb":   "#!/bin/sh\n",
		"postgres": fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s (Debian 1)'\n", version),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWithoutPostgreSQLTheErrorNamesBothWaysOut(t *testing.T) {
	_, err := findBinaries([]string{t.TempDir(), "/does/not/exist"}, 0)
	if !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("error is %v, want ErrNotInstalled", err)
	}
	for _, word := range []string{"apt-get install postgresql", "DATABASE_URL"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %q", err, word)
		}
	}
}

func TestANewFolderTakesTheFirstInstallation(t *testing.T) {
	first, second := installation(t, "17.10"), installation(t, "18.4")
	bin, err := findBinaries([]string{t.TempDir(), first, second}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if bin.dir != first || bin.major != 17 {
		t.Errorf("found version %d in %s, want 17 in %s", bin.major, bin.dir, first)
	}
}

func TestAnOldFolderTakesTheVersionThatMadeIt(t *testing.T) {
	dirs := []string{installation(t, "18.4"), installation(t, "15.18")}
	bin, err := findBinaries(dirs, 15)
	if err != nil {
		t.Fatal(err)
	}
	if bin.major != 15 {
		t.Errorf("found version %d, want 15", bin.major)
	}
	if _, err := findBinaries(dirs, 16); err == nil || !strings.Contains(err.Error(), "made by PostgreSQL 16") {
		t.Errorf("for data of version 16 the error is %v", err)
	}
}

func TestABadSlipwayPGBinIsNamed(t *testing.T) {
	t.Setenv("SLIPWAY_PG_BIN", "/does/not/exist")
	if _, err := findBinaries(candidateFolders(), 0); err == nil || !strings.Contains(err.Error(), "SLIPWAY_PG_BIN is /does/not/exist") {
		t.Errorf("error is %v", err)
	}
}

func TestNumberIn(t *testing.T) {
	for text, want := range map[string]int{"": 0, "abc": 0, "15.18 (Debian)": 15, "/usr/lib/postgresql/9/bin": 9, "99999999999999999999": 0} {
		if got := numberIn(text); got != want {
			t.Errorf("numberIn(%q) = %d, want %d", text, got, want)
		}
	}
}
