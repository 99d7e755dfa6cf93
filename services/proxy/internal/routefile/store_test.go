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
	s := &Store{dir: dir, last: make(map[string]last)}
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

// TestACrashInTheMiddleOfAWriteIsNeverWorseThanTheRoutesBefore cuts the file that was written last at every length, and spoils each of
// its bytes, as a crash or a bad disk would.
func TestACrashInTheMiddleOfAWriteIsNeverWorseThanTheRoutesBefore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for g := range int64(4) {
		save(t, s, record("shop/web", g+1))
	}
	latest := path(dir, "shop/web", suffixes[1])
	whole, err := os.ReadFile(latest)
	if err != nil {
		t.Fatal(err)
	}
	length := len(bytes.TrimRight(whole, "\n")) + 1
	for n := range length + 1 {
		write(t, latest, whole[:n])
		found, log := restart(t, dir)
		switch {
		case n == length && (found["shop/web"] != 4 || log != ""):
			t.Errorf("the whole record gave %v, logged %q", found, log)
		case n < length && (found["shop/web"] != 3 || strings.Count(log, "\n") != 1):
			t.Errorf("%d of %d bytes gave %v, logged %q", n, length, found, log)
		}
	}
	for n := range whole { // and a flipped bit in each byte
		spoilt := bytes.Clone(whole)
		spoilt[n] ^= 0x10
		write(t, latest, spoilt)
		if found, _ := restart(t, dir); found["shop/web"] != 3 {
			t.Errorf("a flipped bit in byte %d gave %v", n, found)
		}
	}
}

func TestTheRecordBeforeIsKeptAtEachWrite(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for g := int64(1); g <= 6; g++ {
		r := record("shop/web", g)
		if g == 4 { // one that outgrows its file, and then a short one in its place
			r.Routes = json.RawMessage(`{"n": 4, "long": "` + strings.Repeat("x", 3*block) + `"}`)
		}
		save(t, s, r)
		latest := path(dir, "shop/web", suffixes[(g+1)%2])
		whole, err := os.ReadFile(latest)
		if err != nil {
			t.Fatal(err)
		}
		if found, log := restart(t, dir); found["shop/web"] != g || log != "" {
			t.Errorf("found %v, want %d; logged %s", found, g, log)
		}
		write(t, latest, []byte("half of a record"))
		if found, _ := restart(t, dir); g > 1 && found["shop/web"] != g-1 {
			t.Errorf("without the last one: found %v, want %d", found, g-1)
		}
		write(t, latest, whole)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 3 { // and the lock
		t.Errorf("files %v, %v", names, err)
	}
}

func TestAHalfMadeFileIsLeftOutOfAccount(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	write(t, path(dir, "shop/web", tempSuffix), []byte("half of generation 2"))
	if found, log := restart(t, dir); found["shop/web"] != 1 || log != "" {
		t.Errorf("found %v, logged %s", found, log)
	}
	save(t, s, record("shop/web", 2))
	if found, log := restart(t, dir); found["shop/web"] != 2 || log != "" {
		t.Errorf("after the next write: %v, %s", found, log)
	}
}

func TestACorruptFileIsTheNextToBeOverwritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/web", 2))
	write(t, path(dir, "shop/web", suffixes[1]), []byte("garbage"))
	after := &Store{dir: dir, last: make(map[string]last)}
	if _, err := after.Load(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	save(t, after, record("shop/web", 3))
	if found, log := restart(t, dir); found["shop/web"] != 3 || log != "" {
		t.Errorf("found %v, logged %s", found, log)
	}
	write(t, path(dir, "shop/web", suffixes[1]), []byte("garbage again"))
	if found, _ := restart(t, dir); found["shop/web"] != 1 {
		t.Errorf("found %v, want the last good one before", found)
	}
}

// TestFilesOfBeforeRecordsWereNumberedAreRead has them as format 1 wrote them: the last one under the first name.
func TestFilesOfBeforeRecordsWereNumberedAreRead(t *testing.T) {
	dir := t.TempDir()
	for g, suffix := range map[int64]string{2: suffixes[0], 1: suffixes[1]} {
		body, err := json.MarshalIndent(record("shop/web", g), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		body = append(body, '\n')
		write(t, path(dir, "shop/web", suffix), append([]byte(head(oldMagic, body)+"\n"), body...))
	}
	if found, log := restart(t, dir); found["shop/web"] != 2 || log != "" {
		t.Errorf("found %v, logged %s", found, log)
	}
	s := open(t, dir)
	if _, err := s.Load(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for g := int64(3); g <= 5; g++ {
		save(t, s, record("shop/web", g))
		if found, log := restart(t, dir); found["shop/web"] != g || log != "" {
			t.Errorf("found %v, want %d; logged %s", found, g, log)
		}
	}
}

func TestLostRoutesAreSaidInOneSentenceAndTheOthersAreServed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	save(t, s, record("shop/web", 1))
	save(t, s, record("shop/api", 7))
	write(t, path(dir, "shop/web", suffixes[0]), nil)
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
	data, err := os.ReadFile(path(dir, "shop/web", suffixes[0]))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path(dir, "shop/api", suffixes[0]), data)
	if found, log := restart(t, dir); len(found) != 1 || !strings.Contains(log, "corrupt") {
		t.Errorf("found %v, logged %q", found, log)
	}
}

func TestAFullDiskRefusesTheNewRoutesAndKeepsTheOld(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/full")
	}
	for _, c := range []struct {
		name  string
		saved int64
		full  string
	}{
		{"as a file is made", 1, tempSuffix},
		{"as a file is overwritten", 2, suffixes[0]},
		{"as the other is overwritten", 3, suffixes[1]},
	} {
		dir := t.TempDir()
		s := open(t, dir)
		for g := range c.saved {
			save(t, s, record("shop/web", g+1))
		}
		full := path(dir, "shop/web", c.full)
		_ = os.Remove(full)
		if err := os.Symlink("/dev/full", full); err != nil {
			t.Fatal(err)
		}
		err := s.Save(record("shop/web", 9))
		if !errors.Is(err, problem.ResourceExhausted) || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("%s: error %v", c.name, err)
		}
		_ = os.Remove(full)
		if found, _ := restart(t, dir); found["shop/web"] != c.saved {
			t.Errorf("%s: found %v", c.name, found)
		}
		save(t, s, record("shop/web", 10))
		if found, _ := restart(t, dir); found["shop/web"] != 10 {
			t.Errorf("%s: after there was room again: %v", c.name, found)
		}
	}
}

// TestARefusedRecordIsNotTakenUp lets the disk fail after the bytes were written.
func TestARefusedRecordIsNotTakenUp(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for g := range int64(2) {
		save(t, s, record("shop/web", g+1))
	}
	data, err := encode(numbered{Save: 3, Record: record("shop/web", 3)})
	if err != nil {
		t.Fatal(err)
	}
	failed := errors.New("input/output error")
	name := path(dir, "shop/web", suffixes[0])
	if err := overwriteSync(name, data, func(*os.File) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("error %v", err)
	}
	if found, _ := restart(t, dir); found["shop/web"] != 2 {
		t.Errorf("found %v", found)
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
