package postgresdev

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	maxLog  = 8 << 20 // bytes of postgres.log kept over a restart
	logTail = 2 << 10 // bytes of it quoted in an error
)

// folder is the place of one server: data/, password, port, postgres.log and a lock that its owner holds.
type folder struct {
	dir       string
	owner     *owner
	reachable bool // by the owner, through the path
	lock      *os.File
	log       *slog.Logger
}

// openFolder makes the folder and locks it for this process. The lock ends with the process, however it ends.
func openFolder(dir string, log *slog.Logger) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of PostgreSQL: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	owner, err := findOwner()
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, owner: owner, reachable: owner.reaches(dir), log: log}
	if !f.reachable && !canPassFolder {
		return nil, fmt.Errorf("user %s, who must run PostgreSQL in place of root, cannot reach %s: choose another folder", owner.name, dir)
	}
	f.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// ErrInUse is what Start returns when a living program runs a server in the folder.
var ErrInUse = errors.New("another program runs PostgreSQL in this folder")

func (f *folder) close() { _ = f.lock.Close() }

func (f *folder) data() string         { return filepath.Join(f.dir, "data") }
func (f *folder) logFile() string      { return filepath.Join(f.dir, "postgres.log") }
func (f *folder) passwordFile() string { return filepath.Join(f.dir, "password") }

// majorVersion is the version that made the data, 0 when there is none yet.
func (f *folder) majorVersion() int { return numberIn(readTrimmed(f.data(), "PG_VERSION")) }

func (f *folder) rememberedPort() int {
	port, err := strconv.Atoi(readTrimmed(f.dir, "port"))
	if err != nil || port < 1 || port > 65535 {
		return 0
	}
	return port
}

func (f *folder) rememberPort(port int) error {
	return os.WriteFile(filepath.Join(f.dir, "port"), []byte(strconv.Itoa(port)+"\n"), 0o600)
}

func (f *folder) password() (string, error) {
	password := readTrimmed(f.dir, "password")
	if password == "" {
		return "", fmt.Errorf("%s is missing: put it back or delete the folder", f.passwordFile())
	}
	return password, nil
}

// initialize makes the data with initdb in a folder of its own and renames it: a crash leaves all or nothing.
func (f *folder) initialize(ctx context.Context, bin *binaries, sync bool) error {
	if f.majorVersion() != 0 {
		return nil
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	if err := f.writeOwned(f.passwordFile(), hex.EncodeToString(secret)+"\n"); err != nil {
		return err
	}
	fresh := filepath.Join(f.dir, "data.new")
	if err := errors.Join(os.RemoveAll(fresh), os.Mkdir(fresh, 0o700), f.owner.own(fresh)); err != nil {
		return err
	}
	args := []string{"-U", role, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"}
	if !sync {
		args = append(args, "--no-sync")
	}
	if err := f.initdb(ctx, bin, fresh, args); err != nil {
		return err
	}
	if err := os.Remove(f.data()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists and is no PostgreSQL data: %w", f.data(), err)
	}
	return os.Rename(fresh, f.data())
}

func (f *folder) initdb(ctx context.Context, bin *binaries, data string, args []string) error {
	path, files, err := f.pathsFor(data, f.passwordFile())
	if err != nil {
		return err
	}
	defer closeAll(files)
	cmd := exec.CommandContext(ctx, bin.initdb, append(args, "-D", path[0], "--pwfile="+path[1])...)
	cmd.Dir = "/"
	cmd.Env = serverEnvironment()
	cmd.ExtraFiles = files
	cmd.SysProcAttr = childAttributes(f.owner)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out[max(0, len(out)-logTail):])
	}
	return nil
}

// pathsFor returns how the owner opens the given paths, and the files to hand to the child for that. Below a
// folder that the owner may not enter, such as /root, it is the inherited file that opens the door.
func (f *folder) pathsFor(paths ...string) ([]string, []*os.File, error) {
	if f.reachable {
		return paths, nil, nil
	}
	passed := make([]string, 0, len(paths))
	files := make([]*os.File, 0, len(paths))
	for i, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			closeAll(files)
			return nil, nil, err
		}
		files = append(files, file)
		passed = append(passed, fmt.Sprintf("/proc/self/fd/%d", 3+i)) // 0 to 2 are the standard streams
	}
	return passed, files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}

func (f *folder) writeOwned(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return f.owner.own(path)
}

// trimLog starts the log anew when it has grown large.
func (f *folder) trimLog() {
	if info, err := os.Stat(f.logFile()); err == nil && info.Size() > maxLog {
		_ = os.Truncate(f.logFile(), 0)
	}
}

func (f *folder) logTail() string {
	file, err := os.Open(f.logFile())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil && info.Size() > logTail {
		_, _ = file.Seek(-logTail, io.SeekEnd)
	}
	data, _ := io.ReadAll(io.LimitReader(file, logTail))
	return string(data)
}
