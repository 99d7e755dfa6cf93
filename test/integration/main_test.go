// Package integration drives Slipway as its users run it: as containers beside a real PostgreSQL, deploying containers, over the
// network and through the public API alone. It needs Linux, where the addresses of containers are reached from the machine.
package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/moby/client"
)

// built is what TestMain has built, or why it could not.
var built struct {
	postgres string // image of PostgreSQL
	err      error
}

const (
	currentTag  = "integration"
	previousTag = "integration-previous"
)

func TestMain(m *testing.M) {
	// The container that would remove what a killed test leaves needs a registry; every test removes its own.
	_ = os.Setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
	// Testcontainers takes a machine with /.dockerenv for a container and then looks for its ports elsewhere.
	if os.Getenv("TESTCONTAINERS_HOST_OVERRIDE") == "" {
		_ = os.Setenv("TESTCONTAINERS_HOST_OVERRIDE", "127.0.0.1")
	}
	built.err = build()
	os.Exit(m.Run())
}

func build() error {
	if runtime.GOOS != "linux" {
		return errors.New("containers are not reached from this machine: it is not Linux")
	}
	cli, err := client.New(client.FromEnv)
	if err != nil {
		return err
	}
	defer cli.Close()
	if _, err := cli.Ping(context.Background(), client.PingOptions{}); err != nil {
		return fmt.Errorf("no Docker engine answers: %w", err)
	}
	out, err := script(nil, "scripts/compose", "image", "postgres")
	if err != nil {
		return err
	}
	built.postgres = strings.TrimSpace(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:])
	_, err = script([]string{"IMAGE_TAG=" + currentTag}, "scripts/build-images")
	return err
}

// script runs a script of the repository and returns what it prints.
func script(env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "./"+name, args...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), env...)
	var errOut strings.Builder
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", name, err, out, errOut.String())
	}
	return string(out), nil
}

// require skips the test where containers cannot be run, and fails it where they must be.
func require(t *testing.T) {
	t.Helper()
	if built.err == nil {
		return
	}
	if os.Getenv("SLIPWAY_REQUIRE_DOCKER") != "" {
		t.Fatalf("SLIPWAY_REQUIRE_DOCKER is set, and containers cannot be run: %v", built.err)
	}
	t.Skipf("containers cannot be run: %v", built.err)
}
