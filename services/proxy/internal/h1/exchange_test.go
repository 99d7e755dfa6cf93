package h1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// heads returns a target that answers and the channel of the heads it read.
func heads(t *testing.T) (*scripted, <-chan []string) {
	t.Helper()
	ch := make(chan []string, 8)
	return newTarget(t, func(_ int64, c net.Conn, br *bufio.Reader) {
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			ch <- head
			_, _ = io.WriteString(c, hello)
		}
	}), ch
}

func TestTheHeadIsForwardedAsAProxyShould(t *testing.T) {
	target, got := heads(t)
	r := get("/a%2Fb//c?q=%20x&y")
	r.Host = "shop.example:8080"
	r.Header = http.Header{
		"Accept":              {"a", "b"},
		"Connection":          {"keep-alive, X-Secret"},
		"X-Secret":            {"for this hop"},
		"Keep-Alive":          {"timeout=5"},
		"Proxy-Authorization": {"Basic x"},
		"Te":                  {"trailers, deflate"},
		"Transfer-Encoding":   {"chunked"},
		"Content-Length":      {"99"},
		"X-Forwarded-For":     {"203.0.113.9", "198.51.100.2"},
		"X-Forwarded-Proto":   {"gopher"},
		"X-Forwarded-Port":    {"70"},
	}
	mustDo(t, newClient(t, target.address), r)
	head := receive(t, "the head", got)
	want := []string{
		"GET /a%2Fb//c?q=%20x&y HTTP/1.1", "Host: shop.example:8080", "Accept: a", "Accept: b",
		"X-Forwarded-For: 203.0.113.9, 198.51.100.2, 192.0.2.7", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8080",
		"Te: trailers", "Content-Length: 0",
	}
	if len(head) == 0 || head[0] != want[0] {
		t.Fatalf("request line of %q", head)
	}
	slices.Sort(head)
	slices.Sort(want)
	if !slices.Equal(head, want) {
		t.Errorf("the target got\n%s\nwant\n%s", strings.Join(head, "\n"), strings.Join(want, "\n"))
	}
}

func TestAClientCannotStripForwardedForByListingIt(t *testing.T) {
	target, got := heads(t)
	r := get("/")
	r.Header = http.Header{"Connection": {"X-Forwarded-For, x-forwarded-proto"}, "X-Forwarded-For": {"203.0.113.9"}}
	mustDo(t, newClient(t, target.address), r)
	head := receive(t, "the head", got)
	if !slices.Contains(head, "X-Forwarded-For: 192.0.2.7") || !slices.Contains(head, "X-Forwarded-Proto: http") {
		t.Errorf("the target got %q", head)
	}
}

func TestARequestThatWouldBecomeAnotherIsRefused(t *testing.T) {
	target, _ := heads(t)
	c := newClient(t, target.address)
	for name, spoil := range map[string]func(*http.Request){
		"method with a space": func(r *http.Request) { r.Method = "GET /admin" },
		"path with a space":   func(r *http.Request) { r.RequestURI = "/x HTTP/1.1" },
		"path with a newline": func(r *http.Request) { r.RequestURI = "/x\r\nX: y" },
		"host with a newline": func(r *http.Request) { r.Host = "a\r\nX: y" },
		"header value":        func(r *http.Request) { r.Header.Set("X", "a\nY: b") },
	} {
		r := get("/")
		spoil(r)
		if _, _, err := do(t, c, r); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := target.conns.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// echo answers each request with its body, of either framing, and its trailers as trailers.
func echo(t *testing.T) *scripted {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
	}))
	t.Cleanup(s.Close)
	return &scripted{address: strings.TrimPrefix(s.URL, "http://")}
}

func TestBodiesOfEveryLengthArrive(t *testing.T) {
	c := newClient(t, echo(t).address)
	for _, n := range []int{1, 4096, inlineBody, inlineBody + 1, 1 << 20} {
		text := strings.Repeat("x", n)
		if _, body := mustDo(t, c, post(text)); body != text {
			t.Errorf("known length %d: %d bytes came back", n, len(body))
		}
		r := post(text)
		r.ContentLength = -1
		r.Trailer = http.Header{"X-Sum": {"42"}}
		res, body := mustDo(t, c, r)
		if body != text {
			t.Errorf("unknown length %d: %d bytes came back", n, len(body))
		}
		if got := res.Trailer.Get("X-Sum"); got != "42" {
			t.Errorf("trailer %q", got)
		}
	}
}

func TestABodyWaitsForTheTargetsConsent(t *testing.T) {
	bodies := make(chan string, 1)
	target := newTarget(t, func(n int64, c net.Conn, br *bufio.Reader) {
		if _, err := readHead(br); err != nil {
			return
		}
		if n == 1 {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			b := make([]byte, 5)
			_, _ = io.ReadFull(br, b)
			bodies <- string(b)
		}
		_, _ = io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
		_, _ = io.Copy(io.Discard, br)
	})
	c := newClient(t, target.address)
	r := post("order")
	r.Header.Set("Expect", "100-continue")
	if res, _ := mustDo(t, c, r); res.StatusCode != 417 {
		t.Errorf("status %d", res.StatusCode)
	}
	if got := receive(t, "the body", bodies); got != "order" {
		t.Errorf("body %q", got)
	}
	c.CloseIdle()
	r = post("order")
	r.Header.Set("Expect", "100-continue")
	r.Body = io.NopCloser(iotest.ErrReader(errors.New("the body was read without consent")))
	if res, _ := mustDo(t, c, r); res.StatusCode != 417 {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestAnEarlyResponseComesThroughWhileTheBodyIsStillSent(t *testing.T) {
	target := newTarget(t, func(_ int64, c net.Conn, br *bufio.Reader) {
		_, _ = readHead(br)
		_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		_, _ = io.Copy(io.Discard, br)
	})
	c := newClient(t, target.address)
	reader, writer := io.Pipe() // a body that never ends
	defer func() { _ = writer.Close() }()
	r := post("")
	r.Body, r.ContentLength = reader, 1<<40
	if res, body := mustDo(t, c, r); res.StatusCode != 413 || body != "big" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
}

func TestABodyThatFailsIsTheClientsFault(t *testing.T) {
	target := newTarget(t, func(_ int64, _ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	c := newClient(t, target.address)
	broken := errors.New("client is gone")
	for _, length := range []int64{100, inlineBody + 1, -1} {
		r := post("")
		r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))), length
		_, _, err := do(t, c, r)
		if !isError[*BodyError](err) || !errors.Is(err, broken) {
			t.Errorf("length %d: %v", length, err)
		}
	}
}

func TestInformationalResponsesArePassedOn(t *testing.T) {
	target := newTarget(t, answering("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"+hello))
	var links []string
	call := &Call{Informational: func(status int, h http.Header) {
		if status == http.StatusEarlyHints {
			links = append(links, h.Get("Link"))
		}
	}}
	res, err := newClient(t, target.address).Do(get("/"), testHead, call)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if !slices.Equal(links, []string{"</x>"}) {
		t.Errorf("links %q", links)
	}
}

func TestAbortHitsItsOwnCallOnly(t *testing.T) {
	target := newTarget(t, answering(hello))
	c := newClient(t, target.address)
	first := &Call{}
	res, err := c.Do(get("/"), testHead, first)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	first.Abort() // late: the connection is free for others by now
	if _, body := mustDo(t, c, get("/")); body != "hello" || target.conns.Load() != 1 {
		t.Errorf("the next call got %q over connection %d", body, target.conns.Load())
	}
	if _, err := c.Do(get("/"), testHead, first); !errors.Is(err, ErrAborted) {
		t.Errorf("a call that was aborted before: %v", err)
	}
	endless := newTarget(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
	call := &Call{}
	if res, err = newClient(t, endless.address).Do(get("/"), testHead, call); err != nil {
		t.Fatal(err)
	}
	call.Abort()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the response's body went on after the abort")
	}
	_ = res.Body.Close()
}

func TestAnUpgradedConnectionIsHandedOver(t *testing.T) {
	target := newTarget(t, func(_ int64, c net.Conn, br *bufio.Reader) {
		head, _ := readHead(br)
		if !slices.Contains(head, "Connection: Upgrade") || !slices.Contains(head, "Upgrade: websocket") {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
		_, _ = io.Copy(c, br)
	})
	head := testHead
	head.Upgrade = "websocket"
	res, err := newClient(t, target.address).Do(get("/chat"), head, &Call{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	upgraded, ok := res.Body.(*Upgraded)
	if !ok || res.StatusCode != 101 {
		t.Fatalf("status %d, body %T", res.StatusCode, res.Body)
	}
	nc, early := upgraded.Conn()
	if string(early) != "early" {
		t.Errorf("early data %q", early)
	}
	_, _ = io.WriteString(nc, "ping")
	b := make([]byte, 4)
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "ping" {
		t.Errorf("echo %q, %v", b, err)
	}
}
