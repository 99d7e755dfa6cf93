package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { value, ok := env[name]; return value, ok }
}

func config1(t *testing.T, env map[string]string) config {
	t.Helper()
	cfg, err := configFrom(lookup(env))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func get(t *testing.T, handler http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestItSaysWhoItIs(t *testing.T) {
	handler := newHandler(config1(t, map[string]string{"VERSION": "v2", "SLIPWAY_TASK": "web-3-7"}))
	code, body := get(t, handler, "/")
	var answer struct {
		Version, Task string
		PID           int
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || code != http.StatusOK {
		t.Fatalf("got %d %s: %v", code, body, err)
	}
	if answer.Version != "v2" || answer.Task != "web-3-7" || answer.PID != os.Getpid() {
		t.Errorf("got %+v", answer)
	}
	if code, _ := get(t, handler, "/nothing"); code != http.StatusNotFound {
		t.Errorf("another path: got %d", code)
	}
}

func TestTheFailRateIsExactAndTheHealthDoesNotSuffer(t *testing.T) {
	for rate, want := range map[string]int{"0": 0, "0.01": 1, "0.1": 10, "0.25": 25, "0.29": 29, "0.5": 50, "1": 100} {
		handler := newHandler(config1(t, map[string]string{"FAIL_RATE": rate}))
		failed := 0
		for range 100 {
			if code, _ := get(t, handler, "/"); code == http.StatusInternalServerError {
				failed++
			}
			if code, _ := get(t, handler, "/health"); code != http.StatusOK {
				t.Fatalf("rate %s: /health answers %d", rate, code)
			}
		}
		if failed != want {
			t.Errorf("rate %s: %d of 100 failed, want %d", rate, failed, want)
		}
	}
}

func TestTheHealthStatusCanBeSet(t *testing.T) {
	if code, _ := get(t, newHandler(config1(t, map[string]string{"HEALTH_STATUS": "503"})), "/health"); code != 503 {
		t.Errorf("got %d", code)
	}
}

func TestEverythingWrongWithTheEnvironmentIsReported(t *testing.T) {
	_, err := configFrom(lookup(map[string]string{
		"FAIL_RATE": "2", "LATENCY": "fast", "HEALTH_STATUS": "ok", "START_DELAY": "-1s", "EXIT_AFTER": "x",
	}))
	for _, name := range []string{"FAIL_RATE", "LATENCY", "HEALTH_STATUS", "START_DELAY", "EXIT_AFTER"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing in %v", name, err)
		}
	}
}

func TestItExitsWhenItShould(t *testing.T) {
	for _, after := range []string{"0s", "1h"} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			// It waits to listen all the time: there is no socket in the bubble.
			cfg := config1(t, map[string]string{"EXIT_AFTER": after, "START_DELAY": "2h"})
			if err := run(t.Context(), cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, errExitAfter) {
				t.Errorf("%s: got %v", after, err)
			}
			if took := time.Since(began); took != cfg.exitAfter {
				t.Errorf("%s: it took %s", after, took)
			}
		})
	}
}

// serve runs the server on a free port until the returned cancel; then the channel gives what run returned.
func serve(t *testing.T, env map[string]string) (address string, cancel context.CancelFunc, result chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	_, env["PORT"], _ = net.SplitHostPort(address)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	listens := make(chan struct{})
	log := slog.New(slog.NewTextHandler(writer(func(line string) {
		if strings.Contains(line, "listens") {
			close(listens)
		}
	}), nil))
	result = make(chan error, 1)
	cfg := config1(t, env)
	go func() { result <- run(ctx, cfg, log) }()
	select {
	case <-listens:
	case err := <-result:
		t.Fatal(err)
	}
	return address, cancel, result
}

type writer func(string)

func (w writer) Write(p []byte) (int, error) { w(string(p)); return len(p), nil }

func TestItFinishesItsRequestsBeforeItEnds(t *testing.T) {
	address, cancel, result := serve(t, map[string]string{"LATENCY": "200ms"})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// A second answer on another connection says that the first request has arrived.
	response, err := http.Get("http://" + address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel()
	first, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || first.StatusCode != http.StatusOK {
		t.Fatalf("the request under way: got %v, %v", first, err)
	}
	defer first.Body.Close()
	if err := <-result; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it still listens")
	}
}

func TestItSpeaksHTTP2WithoutTLS(t *testing.T) {
	address, _, _ := serve(t, map[string]string{})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.ProtoMajor != 2 || response.StatusCode != http.StatusOK {
		t.Errorf("got %s %s", response.Proto, response.Status)
	}
}

func TestItEchoesOverWebSocket(t *testing.T) {
	address, _, _ := serve(t, map[string]string{})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The key and its answer are the example of RFC 6455.
	if _, err := io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", response, err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Sec-Websocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got the key %s", got)
	}
	long := strings.Repeat("y", 300)
	for _, frame := range []struct{ sent, want []byte }{
		{masked(0x81, "hello"), append([]byte{0x81, 5}, "hello"...)},
		{masked(0x89, "ping"), append([]byte{0x8A, 4}, "ping"...)},
		{masked(0x82, long), append([]byte{0x82, 126, 1, 44}, long...)},
		{masked(0x88, "\x03\xe8"), []byte{0x88, 2, 3, 0xe8}},
	} {
		if _, err := conn.Write(frame.sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(frame.want))
		if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, frame.want) {
			t.Fatalf("got %q, %v; want %q", got, err, frame.want)
		}
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the close: %v", err)
	}
}

// masked is a client's frame.
func masked(head byte, text string) []byte {
	frame := []byte{head, 0x80 | byte(len(text))}
	if len(text) > 125 {
		frame = []byte{head, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}
	}
	mask := []byte{1, 2, 3, 4}
	frame = append(frame, mask...)
	for i := range len(text) {
		frame = append(frame, text[i]^mask[i%4])
	}
	return frame
}
