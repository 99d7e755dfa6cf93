package dataplane

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// socket is a target that switches to any protocol and sends back, as frames of a WebSocket, what it gets.
func socket(t *testing.T) (address string, ended <-chan error) {
	t.Helper()
	over := make(chan error, 10)
	return newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		nc, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			over <- err
			return
		}
		defer func() { _ = nc.Close() }()
		_, _ = fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\nX-For: %s\r\n\r\n",
			r.Header.Get("Upgrade"), r.Header.Get("X-Forwarded-For"))
		for {
			line, err := buffered.ReadString('\n')
			if err != nil {
				over <- err
				return
			}
			_, _ = nc.Write(frame(strings.TrimSpace(line)))
		}
	}), over
}

func frame(text string) []byte { return append([]byte{0x81, byte(len(text))}, text...) }

// switched is a client's connection after the upgrade.
func switched(t *testing.T, address, protocol string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	// The first message comes with the request, as an eager client's does.
	_, _ = fmt.Fprintf(nc, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\n\r\nfirst\n", protocol)
	br := bufio.NewReader(nc)
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 101 || res.Header.Get("Upgrade") != protocol || res.Header.Get("X-For") != "127.0.0.1" {
		t.Fatalf("got %d %v", res.StatusCode, res.Header)
	}
	expectFrame(t, br, "first")
	return nc.(*net.TCPConn), br
}

func expectFrame(t *testing.T, br *bufio.Reader, text string) {
	t.Helper()
	b := make([]byte, len(text)+2)
	if _, err := io.ReadFull(br, b); err != nil || !bytes.Equal(b, frame(text)) {
		t.Fatalf("got %q, %v, want %q", b, err, text)
	}
}

func say(t *testing.T, nc net.Conn, br *bufio.Reader, text string) {
	t.Helper()
	_, _ = io.WriteString(nc, text+"\n")
	expectFrame(t, br, text)
}

func TestAWebSocketLivesThroughASwitchUntilItsDrainTime(t *testing.T) {
	old, ended := socket(t)
	fresh := saying(t, "new")
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(old))))
	nc, br := switched(t, b.address, "websocket")
	say(t, nc, br, "before")
	b.apply(share{groupOf("blue", "", draining(old, time.Now().Add(time.Hour))), 0}, share{groupOf("green", "", open(fresh)), 1000})
	for i := range 20 {
		say(t, nc, br, fmt.Sprint("after ", i))
		if _, body := b.get("/"); body != "new" {
			t.Fatalf("got %q", body)
		}
	}
	if got := b.plane.Drained(web); len(got) != 0 {
		t.Fatalf("drained with a WebSocket open: %v", got)
	}
	b.apply(share{groupOf("blue", "", draining(old, time.Now().Add(20*time.Millisecond))), 0}, share{groupOf("green", "", open(fresh)), 1000})
	if rest, err := io.ReadAll(br); err != nil || string(rest) != "\x88\x02\x03\xe9" {
		t.Errorf("the client got %q, %v, want a close frame with 1001", rest, err)
	}
	_ = nc.Close()
	if err := receive(t, "the end at the target", ended); err == nil {
		t.Error("no end at the target")
	}
	b.awaitDrained(old)
	if got := b.plane.Cuts(); got != 1 {
		t.Errorf("%d cuts", got)
	}
}

func TestAWebSocketThatIsCutInAFrameIsClosedPlainly(t *testing.T) {
	old, _ := socket(t)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(old))))
	_, br := switched(t, b.address, "other") // whose frames the proxy does not know
	b.apply(all(groupOf("blue", "", draining(old, time.Now()))))
	if rest, err := io.ReadAll(br); len(rest) != 0 {
		t.Errorf("the client got %q, %v", rest, err)
	}
}

func TestTheEndOfEitherSideEndsAnUpgradedConnection(t *testing.T) {
	address, ended := socket(t)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(address))))
	nc, br := switched(t, b.address, "websocket")
	_ = nc.CloseWrite() // the target answers the end with its own
	if err := receive(t, "the end at the target", ended); !errors.Is(err, io.EOF) {
		t.Errorf("the target saw %v", err)
	}
	if rest, err := io.ReadAll(br); err != nil || len(rest) != 0 {
		t.Errorf("the client got %q, %v", rest, err)
	}
	nc, _ = switched(t, b.address, "websocket")
	_ = nc.SetLinger(0)
	_ = nc.Close() // a client that breaks off
	if err := receive(t, "the end at the target", ended); err == nil {
		t.Error("no end at the target")
	}
	b.apply(all(groupOf("blue", "", draining(address, time.Time{}))))
	b.awaitDrained(address)
}

func TestAnUpgradeThatIsRefusedIsAnOrdinaryResponse(t *testing.T) {
	seen := make(chan http.Header, 1)
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.WriteHeader(http.StatusUpgradeRequired)
	})
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(backend))))
	for upgrade, passed := range map[string]string{"websocket": "websocket", "h2c": ""} {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+b.address, nil)
		req.Header.Set("Connection", "Upgrade, HTTP2-Settings")
		req.Header.Set("Upgrade", upgrade)
		req.Header.Set("Http2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA")
		res, err := http.DefaultClient.Do(req)
		readAll(t, res, err)
		if res.StatusCode != http.StatusUpgradeRequired {
			t.Errorf("%s: status %d", upgrade, res.StatusCode)
		}
		if h := receive(t, "the request", seen); h.Get("Upgrade") != passed || h.Get("Http2-Settings") != "" {
			t.Errorf("%s: the target got %v", upgrade, h)
		}
	}
}

func TestASwitchThatNobodyAskedForIsABadGateway(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		nc, _, _ := http.NewResponseController(w).Hijack()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n")
		_, _ = io.Copy(io.Discard, nc)
		_ = nc.Close()
	})
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(backend))))
	if res, _ := b.get("/"); res.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", res.StatusCode)
	}
	b.apply(all(groupOf("blue", "", draining(backend, time.Time{}))))
	b.awaitDrained(backend)
}

func TestFramesAreFollowedThroughAnyCut(t *testing.T) {
	var stream []byte
	var ends []int
	for _, n := range []int{0, 1, 125, 126, 300, 65535, 65536} {
		for _, masked := range []bool{false, true} {
			head := []byte{0x82}
			switch {
			case n < 126:
				head = append(head, byte(n))
			case n < 1<<16:
				head = append(head, 126, byte(n>>8), byte(n))
			default:
				head = append(head, 127, 0, 0, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n))
			}
			if masked {
				head[1] |= 0x80
				head = append(head, 1, 2, 3, 4)
			}
			stream = append(append(stream, head...), make([]byte, n)...)
			ends = append(ends, len(stream))
		}
	}
	for _, step := range []int{1, 2, 3, 7, 1000, len(stream)} {
		var f frames
		written, next := 0, 0
		for written < len(stream) {
			n := min(step, len(stream)-written)
			_, _ = f.Write(stream[written : written+n])
			written += n
			for next < len(ends) && ends[next] < written {
				next++
			}
			atEnd := next < len(ends) && ends[next] == written
			if f.between() != atEnd {
				t.Fatalf("step %d, byte %d: between frames is %v", step, written, f.between())
			}
		}
	}
}
