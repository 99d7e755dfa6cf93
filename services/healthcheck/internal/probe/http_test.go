package probe

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// raw is a server whose nth connection the function serves and then closes.
func raw(t *testing.T, serve func(nc net.Conn, br *bufio.Reader, n int)) (address string, accepted *atomic.Int64) {
	t.Helper()
	l := listen(t)
	accepted = new(atomic.Int64)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			n := int(accepted.Add(1))
			go func() {
				defer func() { _ = nc.Close() }()
				serve(nc, bufio.NewReader(nc), n)
			}()
		}
	}()
	return l.Addr().String(), accepted
}

// readHead reads a request and returns it; "" when there is none.
func readHead(br *bufio.Reader) string {
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := br.ReadString('\n')
		if err != nil {
			return ""
		}
		head += line
	}
	return head
}

// hangUp waits until the other side has closed.
func hangUp(br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) }

const ok5 = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func TestAnswersAreReadExactly(t *testing.T) {
	t.Parallel()
	passed := verdict.Result{OK: true}
	broken := func(text string) verdict.Result {
		return verdict.Result{Reason: verdict.FailedHealthChecks, Description: "Health checks failed: " + text}
	}
	code := func(text string) verdict.Result {
		return verdict.Result{Reason: verdict.ResponseCodeMismatch, Description: "Health checks failed with these codes: [" + text + "]"}
	}
	timeout := verdict.Result{Reason: verdict.Timeout, Description: "Request timed out"}
	for name, c := range map[string]struct {
		answer string
		closes bool // the target closes after it
		want   verdict.Result
		kept   bool // the connection carries a second check
	}{
		"plain":                             {ok5, false, passed, true},
		"lower case, spaces":                {"HTTP/1.1 200 OK\r\ncontent-length:5 \r\n\r\nhello", false, passed, true},
		"no reason":                         {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, passed, true},
		"another code":                      {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, code("503"), true},
		"lines ended by LF":                 {"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", false, passed, true},
		"folded header":                     {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", false, passed, true},
		"chunks":                            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", false, passed, true},
		"chunks and a trailer":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n", false, passed, true},
		"a broken chunk":                    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false, passed, false},
		"no body, whatever the length":      {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, code("204"), true},
		"body up to the end":                {"HTTP/1.1 200 OK\r\n\r\nhello", true, passed, false},
		"body cut short":                    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true, passed, false},
		"HTTP/1.0":                          {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, passed, false},
		"the target closes":                 {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", true, passed, false},
		"the target says keep-alive":        {"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", false, passed, true},
		"more than the answer":              {ok5 + "HTTP/1.1 500", false, passed, false},
		"a body too long to be worth it":    {"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", 2_000_000), false, passed, false},
		"informational answers":             {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok5, false, passed, true},
		"informational answers without end": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50), false, broken(errEndless.Error()), false},
		"another protocol":                  {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, code("101"), false},
		"nothing":                           {"", true, broken(errNothing.Error()), false},
		"half a header":                     {"HTTP/1.1 200 OK\r\nConte", true, broken(errCutShort.Error()), false},
		"half a header and silence":         {"HTTP/1.1 200 OK\r\nConte", false, timeout, false},
		"silence":                           {"", false, timeout, false},
		"a body that never ends, after 200": {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", false, passed, false},
		"a header too long":                 {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", 2*maxAnswer), false, broken(errTooLong.Error()), false},
		"garbage":                           {"220 mail.example ESMTP\r\n", false, broken(`malformed HTTP status code "mail.example"`), false},
		"a status that is none":             {"HTTP/1.1 2000 OK\r\n\r\n", false, broken(`malformed HTTP status code "2000"`), false},
		"a header without a colon":          {"HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", false, broken("malformed MIME header: missing colon: \"Content-Length 5\""), false},
		"two lengths":                       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false, broken(""), false},
		"a length that is none":             {"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello", false, broken(""), false},
		"an encoding that nobody asked for": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", false, broken(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, accepted := raw(t, func(nc net.Conn, br *bufio.Reader, n int) {
				for range 2 {
					if readHead(br) == "" {
						return
					}
					_, _ = io.WriteString(nc, c.answer)
					if c.closes {
						return
					}
				}
				hangUp(br)
			})
			check := verdict.Check{Timeout: 10 * time.Second, KeepAlive: true}
			if c.want == timeout || strings.Contains(name, "never ends") {
				check.Timeout = 50 * time.Millisecond
			}
			check.Interval = check.Timeout
			check = check.WithDefaults()
			p := New()
			defer p.Close()
			for n := range 2 {
				got := p.Probe(t.Context(), check, address)
				if got != c.want && (c.want != broken("") || got.OK || !strings.HasPrefix(got.Description, c.want.Description)) {
					t.Errorf("check %d: %+v, want %+v", n, got, c.want)
				}
			}
			if kept := accepted.Load() == 1; kept != c.kept {
				t.Errorf("%d connections", accepted.Load())
			}
			check.KeepAlive = false
			if got := p.Probe(t.Context(), check, address); got.OK != c.want.OK || got.Reason != c.want.Reason {
				t.Errorf("over a connection of its own: %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestTheTimeoutIsOfTheWholeCheck(t *testing.T) {
	t.Parallel()
	address, _ := raw(t, func(nc net.Conn, _ *bufio.Reader, _ int) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for _, c := range ok5 + strings.Repeat(" ", 1000) {
			if _, err := io.WriteString(nc, string(c)); err != nil {
				return
			}
			<-tick.C
		}
	})
	begin := time.Now()
	if got := run(t, verdict.Check{Timeout: 100 * time.Millisecond}, address); got.Reason != verdict.Timeout {
		t.Errorf("got %+v", got)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestACheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	address, _ := raw(t, func(_ net.Conn, br *bufio.Reader, _ int) {
		readHead(br)
		cancel()
		hangUp(br)
	})
	p := New()
	defer p.Close()
	if got := p.Probe(ctx, verdict.Check{Timeout: time.Minute, KeepAlive: true}.WithDefaults(), address); got.OK {
		t.Errorf("got %+v", got)
	}
}

func TestTheRequestIsWhatNetHTTPWouldSend(t *testing.T) {
	t.Parallel()
	for path, target := range map[string]string{
		"/":                   "/",
		"/healthz?full=1&x=y": "/healthz?full=1&x=y",
		"/a#b":                "/a",
		"/ü":                  "/%C3%BC",
		"/a%20b":              "/a%20b",
		"//a":                 "//a",
		"/a:b@c;d,(e)":        "/a:b@c;d,(e)",
	} {
		for _, keep := range []bool{true, false} {
			heads := make(chan string, 1)
			address, _ := raw(t, func(nc net.Conn, br *bufio.Reader, _ int) {
				heads <- readHead(br)
				_, _ = io.WriteString(nc, ok5)
			})
			if got := run(t, verdict.Check{Path: path, KeepAlive: keep}, address); !got.OK {
				t.Errorf("%q: %+v", path, got)
			}
			want := "GET " + target + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + userAgent + "\r\n"
			if !keep {
				want += "Connection: close\r\n"
			}
			if got := <-heads; got != want+"\r\n" {
				t.Errorf("%q, kept %t: sent %q", path, keep, got)
			}
		}
		req, err := http.NewRequest(http.MethodGet, "http://target:80"+path, nil)
		if err != nil || req.URL.RequestURI() != target {
			t.Errorf("net/http asks for %q, %v", req.URL.RequestURI(), err)
		}
	}
	for address, host := range map[string]string{"[fe80::1%eth0]:80": "[fe80::1]:80", "[::1]:80": "[::1]:80", "web-1:80": "web-1:80"} {
		if got, err := request(verdict.Check{Path: "/"}, address); err != nil || !strings.Contains(got, "\r\nHost: "+host+"\r\n") {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
	if got := run(t, verdict.Check{Path: "/%zz"}, closed(t)); got.OK || got.Reason != verdict.FailedHealthChecks {
		t.Errorf("a path that is none: %+v", got)
	}
}
