package bench

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// startHAProxy starts HAProxy with a configuration, in which a listener has the address, and returns its process id. Where HAProxy is
// not installed the benchmark is skipped.
func startHAProxy(b *testing.B, config, address string) (pid int) {
	b.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		b.Skip("haproxy is not installed")
	}
	file := filepath.Join(b.TempDir(), "haproxy.cfg")
	check(b, os.WriteFile(file, []byte(config), 0o600))
	cmd := exec.CommandContext(b.Context(), program, "-db", "-f", file)
	cmd.Stderr = io.Discard
	check(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitListener(b, address)
	return cmd.Process.Pid
}

func awaitListener(b *testing.B, address string) {
	b.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		nc, err := (&net.Dialer{Timeout: time.Second}).DialContext(b.Context(), "tcp", address)
		if err == nil {
			_ = nc.Close()
			return
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}
