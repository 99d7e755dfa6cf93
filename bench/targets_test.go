package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

const targetServer = "SLIPWAY_BENCH_TARGET_SERVER"

// targets is a process of its own that answers on every loopback address, so that its CPU is not that of what is measured.
type targets struct {
	b    *testing.B
	port string
}

// startTargets runs this test program as the server.
func startTargets(b *testing.B) *targets {
	b.Helper()
	program, err := os.Executable()
	check(b, err)
	server := exec.CommandContext(b.Context(), program, "-test.run", "^TestTargetServer$")
	server.Env = append(os.Environ(), targetServer+"=1")
	out, err := server.StdoutPipe()
	check(b, err)
	stdin, err := server.StdinPipe() // it ends with this
	check(b, err)
	check(b, server.Start())
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	check(b, err)
	_, port, err := net.SplitHostPort(strings.TrimSpace(line))
	check(b, err)
	return &targets{b: b, port: port}
}

// address is that of the ith target: each has its own, as targets have.
func (t *targets) address(i int) string {
	return fmt.Sprintf("127.1.%d.%d:%s", i/250, 1+i%250, t.port)
}

// answered is how many requests it answered so far.
func (t *targets) answered() float64 {
	t.b.Helper()
	req, err := http.NewRequestWithContext(t.b.Context(), http.MethodGet, "http://"+t.address(0)+"/count", nil)
	check(t.b, err)
	resp, err := http.DefaultClient.Do(req)
	check(t.b, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(t.b, err)
	n, err := strconv.ParseFloat(string(text), 64)
	check(t.b, err)
	return n
}

// TestTargetServer is the server that startTargets starts.
func TestTargetServer(t *testing.T) {
	if os.Getenv(targetServer) == "" {
		t.Skip("runs as a part of benchmarks")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", ":0") // all of 127.0.0.0/8; others are turned away
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(l.Addr())
	go func() {
		var answered atomic.Int64
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if local, ok := nc.LocalAddr().(*net.TCPAddr); !ok || !local.IP.IsLoopback() {
				_ = nc.Close()
				continue
			}
			go answerRaw(nc, &answered)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// answerRaw answers requests without a body, at next to no cost.
func answerRaw(nc net.Conn, answered *atomic.Int64) {
	defer func() { _ = nc.Close() }()
	response := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	br := bufio.NewReaderSize(nc, 512)
	counts, closes, first := false, false, true
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return
		}
		switch {
		case first:
			counts, closes, first = bytes.HasPrefix(line, []byte("GET /count ")), false, false
		case bytes.EqualFold(line, []byte("connection: close\r\n")):
			closes = true
		case len(line) == 2:
			first = true
			if counts {
				text := strconv.FormatInt(answered.Load(), 10)
				_, _ = fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
				return
			}
			answered.Add(1)
			if _, err := nc.Write(response); err != nil || closes {
				return
			}
		}
	}
}
