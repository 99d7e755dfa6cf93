package postgresdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNotInstalled is what Start returns when no PostgreSQL is found; its text says both ways out.
var ErrNotInstalled = errors.New("PostgreSQL is not installed here: run `apt-get install postgresql` (macOS: `brew install postgresql`), " +
	"or set DATABASE_URL to a server you have, e.g. postgres://user:password@host:5432/slipway")

type binaries struct {
	dir, postgres, initdb string
	major                 int
}

// findBinaries takes the first of dirs that has PostgreSQL. major is the version that made the data folder and
// must be met; 0 for a new one.
func findBinaries(dirs []string, major int) (*binaries, error) {
	var other *binaries
	for _, dir := range dirs {
		found := binariesIn(dir)
		if found == nil {
			continue
		}
		if major == 0 || found.major == major {
			return found, nil
		}
		other = found
	}
	if chosen := os.Getenv("SLIPWAY_PG_BIN"); chosen != "" && binariesIn(chosen) == nil {
		return nil, fmt.Errorf("SLIPWAY_PG_BIN is %s, but there are no working postgres and initdb in that folder", chosen)
	}
	if other != nil {
		return nil, fmt.Errorf("the data folder was made by PostgreSQL %d, but only version %d is found (%s): install version %d or delete the folder",
			major, other.major, other.dir, major)
	}
	return nil, ErrNotInstalled
}

// candidateFolders is SLIPWAY_PG_BIN alone when it is set, else PATH and where packages put PostgreSQL, newest
// version first.
func candidateFolders() []string {
	if chosen := os.Getenv("SLIPWAY_PG_BIN"); chosen != "" {
		return []string{chosen}
	}
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		matches, _ := filepath.Glob(pattern) // the only error is a bad pattern
		slices.SortFunc(matches, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, matches...)
	}
	return dirs
}

// binariesIn returns nil unless the folder has both programs and postgres tells its version.
func binariesIn(dir string) *binaries {
	b := &binaries{dir: dir, postgres: filepath.Join(dir, "postgres"), initdb: filepath.Join(dir, "initdb")}
	if !exists(b.postgres) || !exists(b.initdb) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, b.postgres, "--version").Output() // e.g. postgres (PostgreSQL) 15.18 (Debian ...)
	if err != nil {
		return nil
	}
	_, version, _ := strings.Cut(string(out), "(PostgreSQL) ")
	b.major = numberIn(version)
	return b
}

// numberIn returns the first number in the text, 0 when there is none.
func numberIn(text string) int {
	start := strings.IndexAny(text, "0123456789")
	if start < 0 {
		return 0
	}
	end := start
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(text[start:end])
	if err != nil {
		return 0
	}
	return n
}
