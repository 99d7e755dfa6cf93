package process

import (
	"os"
	"path/filepath"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Config is how a Driver works. Only Dir is required.
type Config struct {
	// Dir is the state folder; made if missing. One driver at a time uses it.
	Dir string
	// WorkingDirectory is where containers start that name none, and what their relative ones are relative to;
	// empty: the current directory.
	WorkingDirectory string
	// LogBytes bounds each log file; 0: 10 MiB. A file that has grown over it within a second is cut, and what it held
	// is kept in one older file beside it.
	LogBytes int64
	// KeepLogs is for how many forgotten tasks of each service the logs are kept; 0: 20; below 0: none.
	KeepLogs int
	// MinPort and MaxPort bound the ports that are assigned; 0: 20000 to 31999, which lies outside the ports that
	// Linux and macOS give to outgoing connections.
	MinPort, MaxPort int

	// at is called by tests' drivers at named points of the work; an error makes the step fail.
	at func(point string) error
}

const (
	defaultLogBytes = 10 << 20
	defaultKeepLogs = 20
	defaultMinPort  = 20_000
	defaultMaxPort  = 31_999
)

// withDefaults checks the configuration and fills it in.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, problem.Invalid("dir", "must be set")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, err
	}
	c.Dir = dir
	if c.WorkingDirectory == "" {
		c.WorkingDirectory = "."
	}
	if c.WorkingDirectory, err = filepath.Abs(c.WorkingDirectory); err != nil {
		return c, err
	}
	if c.LogBytes == 0 {
		c.LogBytes = defaultLogBytes
	}
	if c.KeepLogs == 0 {
		c.KeepLogs = defaultKeepLogs
	}
	if c.MinPort == 0 && c.MaxPort == 0 {
		c.MinPort, c.MaxPort = defaultMinPort, defaultMaxPort
	}
	if c.LogBytes < 0 {
		return c, problem.Invalid("log_bytes", "must not be negative")
	}
	if c.MinPort < 1 || c.MaxPort > 65535 || c.MinPort > c.MaxPort {
		return c, problem.Invalid("min_port", "must be at most max_port, both 1 to 65535")
	}
	if c.at == nil {
		c.at = func(string) error { return nil }
	}
	return c, nil
}

// The folders of the state folder.
func (c Config) servicesDir() string { return filepath.Join(c.Dir, "services") }
func (c Config) tasksDir() string    { return filepath.Join(c.Dir, "tasks") }
func (c Config) logsDir() string     { return filepath.Join(c.Dir, "logs") }

func (c Config) taskPath(name string) string {
	return filepath.Join(c.tasksDir(), state.FileName(name)+".json")
}

func (c Config) servicePath(service string) string {
	return filepath.Join(c.servicesDir(), state.FileName(service)+".json")
}

// taskLogs is the folder of a task's logs.
func (c Config) taskLogs(service, task string) string {
	return filepath.Join(c.logsDir(), state.FileName(service), state.FileName(task))
}

// containerLog is the log file of a container.
func (c Config) containerLog(service, task, container string) string {
	return filepath.Join(c.taskLogs(service, task), state.FileName(container)+logSuffix)
}

func (c Config) makeDirs() error {
	for _, dir := range []string{c.Dir, c.servicesDir(), c.tasksDir(), c.logsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return state.Problem(err)
		}
	}
	return nil
}
