package routefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func record(service string, generation int64) Record {
	return Record{Service: service, Generation: generation, Routes: json.RawMessage(fmt.Sprintf(`{"n": %d}`, generation))}
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func save(t *testing.T, s *Store, r Record) {
	t.Helper()
	if err := s.Save(r); err != nil {
		t.Fatal(err)
	}
}

// restart returns what a proxy that starts on the folder finds, by service, and what it logs.
func restart(t *testing.T, dir string) (map[string]int64, string) {
	t.Helper()
	var log bytes.Buffer
	s := &Store{dir: dir, good: make(map[string]bool)}
	records, err := s.Load(slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int64)
	for _, r := range records {
		var routes struct{ N int64 }
		if err := json.Unmarshal(r.Routes, &routes); err != nil || routes.N != r.Generation {
			t.Fatalf("the routes of %s are %s", r.Service, r.Routes)
		}
		found[r.Service] = r.Generation
	}
	return found, log.String()
}

func TestTheLastRecordOfEachServiceIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	long := strings.Repeat("ü/", 250)
	for g := range int64(3) {
		save(t, s, record("shop/web", g+1))
		save(t, s, record("shop_web", g+11))
		save(t, s, record(long, g+21))
	}
	found, log := restart(t, dir)
	if len(found) != 3 || found["shop/web"] != 3 || found["shop_web"] != 13 || found[long] != 23 {
		t.Errorf("found %v", found)
	}
	if log != "" {
		t.Errorf("logged %s", log)
	}
}

// TestACrashInTheMiddleOfAWriteIsNeverWorseThanThePreviousRoutes cuts the current file, as a crash on a file system
// that reorders writes would, at every length.
func TestACrashInTheMiddleOfAWriteIsNeverWorseThanThePreviousRoutes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/web", 2))
	current := path(dir, "shop/web", suffix)
	whole, err := os.ReadFile(current)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		write(t, current, whole[:n])
		found, log := restart(t, dir)
		switch {
		case n == len(whole) && (found["shop/web"] != 2 || log != ""):
			t.Errorf("the whole file gave %v, logged %q", found, log)
		case n < len(whole) && (found["shop/web"] != 1 || strings.Count(log, "\n") != 1):
			t.Errorf("%d of %d bytes gave %v, logged %q", n, len(whole), found, log)
		}
	}
	for n := range whole { // and a flipped bit in each byte
		spoilt := bytes.Clone(whole)
		spoilt[n] ^= 0x10
		write(t, current, spoilt)
		if found, _ := restart(t, dir); found["shop/web"] != 1 {
			t.Errorf("a flipped bit in byte %d gave %v", n, found)
		}
	}
}

func TestACrashBetweenTheStepsOfAWriteIsNeverWorseThanThePreviousRoutes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/web", 2))
	temp, current, previous := path(dir, "shop/web", tempSuffix), path(dir, "shop/web", suffix), path(dir, "shop/web", previousSuffix)
	write(t, temp, []byte("half of generation 3"))
	if found, log := restart(t, dir); found["shop/web"] != 2 || log != "" {
		t.Errorf("after a half-written new file: %v, %s", found, log)
	}
	if err := os.Rename(current, previous); err != nil {
		t.Fatal(err)
	}
	if found, _ := restart(t, dir); found["shop/web"] != 2 {
		t.Errorf("after the current file became the previous one: %v", found)
	}
	save(t, s, record("shop/web", 3))
	if found, log := restart(t, dir); found["shop/web"] != 3 || log != "" {
		t.Errorf("after the next write: %v, %s", found, log)
	}
}

func TestACorruptFileDoesNotTakeThePlaceOfThePreviousOne(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/web", 2))
	current := path(dir, "shop/web", suffix)
	write(t, current, []byte("garbage"))
	after := &Store{dir: dir, good: make(map[string]bool)}
	if _, err := after.Load(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	save(t, after, record("shop/web", 3))
	write(t, current, []byte("garbage again"))
	if found, _ := restart(t, dir); found["shop/web"] != 1 {
		t.Errorf("found %v, want the last good one before", found)
	}
}

func TestLostRoutesAreSaidInOneSentenceAndTheOthersAreServed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/api", 7))
	write(t, path(dir, "shop/web", suffix), nil)
	found, log := restart(t, dir)
	if len(found) != 1 || found["shop/api"] != 7 {
		t.Errorf("found %v", found)
	}
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "lost") || !strings.Contains(log, "shop_web") {
		t.Errorf("logged %q", log)
	}
}

func TestAFileUnderAnothersNameIsCorrupt(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	data, err := os.ReadFile(path(dir, "shop/web", suffix))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path(dir, "shop/api", suffix), data)
	if found, log := restart(t, dir); len(found) != 1 || !strings.Contains(log, "corrupt") {
		t.Errorf("found %v, logged %q", found, log)
	}
}

func TestAFullDiskRefusesTheNewRoutesAndKeepsTheOld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	if err := os.Symlink("/dev/full", path(dir, "shop/web", tempSuffix)); err != nil {
		t.Fatal(err)
	}
	err := s.Save(record("shop/web", 2))
	if !errors.Is(err, problem.ResourceExhausted) || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("error %v", err)
	}
	if found, _ := restart(t, dir); found["shop/web"] != 1 {
		t.Errorf("found %v", found)
	}
	save(t, s, record("shop/web", 3))
	if found, _ := restart(t, dir); found["shop/web"] != 3 {
		t.Errorf("after there was room again: %v", found)
	}
}

func TestAFolderThatIsGoneIsUnavailable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "routes")
	s := open(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(record("shop/web", 1)); !errors.Is(err, problem.Unavailable) {
		t.Errorf("error %v", err)
	}
}

func TestAFolderHasOneProxy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := Open(dir); err == nil {
		t.Error("a second proxy got the folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestForgetRemovesAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/web", 2))
	for range 2 {
		if err := s.Forget("shop/web"); err != nil {
			t.Fatal(err)
		}
	}
	if found, log := restart(t, dir); len(found) != 0 || log != "" {
		t.Errorf("found %v, logged %q", found, log)
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
