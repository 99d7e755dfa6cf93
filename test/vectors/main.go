// Command vectors checks a running system against rows of expected results.
//
//	go run ./test/vectors FILE.jsonl...
//
// It boots all of Slipway (a private PostgreSQL, every service, free ports), reads rows of JSON, one object a line, and
// checks each through the public API: plans with PlanDeployment, alarms with TestAlarm, tasks' health with TestTaskHealth, event
// patterns with TestEventPattern. It prints each row that differs, and a closing line "N passed, N failed". It exits with 1 if
// any row differs or could not be checked, and with 2 if it could not begin: a file that cannot be read, a row that is no row.
//
// A row has a "kind", or is a row of event patterns, which have none: kinds lists them. An unknown kind is an error.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/slipway-deploy/slipway/internal/stack"
)

const (
	exitDiffers = 1
	exitTrouble = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
	}
	stop()
	os.Exit(code) //nolint:gocritic // stop has run
}

// run checks the rows of the files and returns the exit code.
func run(ctx context.Context, files []string, out io.Writer) (int, error) {
	if len(files) == 0 || slices.Contains([]string{"-h", "--help", "-help"}, files[0]) {
		fmt.Fprintf(out, "usage: go run ./test/vectors FILE.jsonl...\n\nkinds of rows: %s\n", strings.Join(kindNames(), ", "))
		if len(files) == 0 {
			return exitTrouble, errors.New("no file is named")
		}
		return 0, nil
	}
	var rows []row
	for _, file := range files {
		more, err := read(file)
		if err != nil {
			return exitTrouble, err
		}
		rows = append(rows, more...)
	}
	return checkAll(ctx, rows, out)
}

// row is a line of a file.
type row struct {
	place string // file:line
	kind  string
	text  []byte
}

// read returns the rows of a file; empty lines are none.
func read(file string) ([]row, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []row
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 64*1024), 16*1024*1024)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		r := row{place: fmt.Sprintf("%s:%d", file, n), text: []byte(text)}
		if r.kind, err = kindOf(r.text); err != nil {
			return nil, fmt.Errorf("%s: %w", r.place, err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return rows, nil
}

// kindOf names the kind of a row. A row of event patterns has a pattern instead.
func kindOf(text []byte) (string, error) {
	var named struct {
		Kind    *string
		Pattern *string
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return "", fmt.Errorf("is no JSON object: %w", err)
	}
	kind := eventPattern
	switch {
	case named.Kind != nil:
		kind = *named.Kind
	case named.Pattern == nil:
		return "", errors.New(`has neither "kind" nor "pattern"`)
	}
	if _, known := kinds()[kind]; !known {
		return "", fmt.Errorf("unknown kind %q; known are %s", kind, strings.Join(kindNames(), ", "))
	}
	return kind, nil
}

// checkAll boots the system and checks the rows.
func checkAll(ctx context.Context, rows []row, out io.Writer) (int, error) {
	dir, err := os.MkdirTemp("", "slipway-vectors-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // PostgreSQL runs as another user when this is root
	}
	if err != nil {
		return exitTrouble, err
	}
	defer os.RemoveAll(dir)
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Addresses: stack.AnyAddresses(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return exitTrouble, fmt.Errorf("boot the system: %w", err)
	}
	defer s.Stop()
	api, err := dial(s.Addresses)
	if err != nil {
		return exitTrouble, err
	}
	defer api.close()
	passed, failed := 0, 0
	for _, r := range rows {
		if err := kinds()[r.kind](ctx, api, r.text); err != nil {
			failed++
			fmt.Fprintf(out, "%s: %s\n    %v\n", r.place, r.text, err)
			continue
		}
		passed++
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return exitDiffers, nil
	}
	return 0, nil
}
