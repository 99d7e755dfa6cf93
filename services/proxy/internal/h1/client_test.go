package h1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"
)

func TestConnectionsAreUsedAgain(t *testing.T) {
	target := newTarget(t, answering(hello))
	c := newClient(t, target.address)
	for range 10 {
		if res, body := mustDo(t, c, get("/")); res.StatusCode != 200 || body != "hello" {
			t.Fatalf("got %d %q", res.StatusCode, body)
		}
	}
	if n := target.conns.Load(); n != 1 {
		t.Errorf("%d connections for 10 requests, one after the other", n)
	}
}

func TestAConnectionIsNotUsedAgainWhenItsEndIsUnclear(t *testing.T) {
	for name, response := range map[string]string{
		"close":     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		"HTTP/1.0":  "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"more data": hello + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
	} {
		t.Run(name, func(t *testing.T) {
			target := newTarget(t, answering(response))
			c := newClient(t, target.address)
			for range 3 {
				if _, body := mustDo(t, c, get("/")); body != "hello" {
					t.Fatalf("got %q", body)
				}
			}
			if n := target.conns.Load(); n != 3 {
				t.Errorf("%d connections for 3 requests", n)
			}
		})
	}
}

func TestUnusedConnectionsAreClosedInTime(t *testing.T) {
	closed := make(chan struct{})
	target := newTarget(t, func(n int64, c net.Conn, br *bufio.Reader) {
		answering(hello)(n, c, br)
		close(closed)
	})
	c := New(Config{Address: target.address, IdleTimeout: 20 * time.Millisecond, MaxIdle: 1})
	mustDo(t, c, get("/"))
	receive(t, "close of the unused connection", closed)
}

func TestCloseIdleClosesAndKeepsNothingMore(t *testing.T) {
	closed := make(chan struct{}, 2)
	target := newTarget(t, func(n int64, c net.Conn, br *bufio.Reader) {
		answering(hello)(n, c, br)
		closed <- struct{}{}
	})
	c := newClient(t, target.address)
	mustDo(t, c, get("/"))
	c.CloseIdle()
	receive(t, "close of the kept connection", closed)
	mustDo(t, c, get("/"))
	receive(t, "close after the exchange", closed)
	c.Reopen()
	mustDo(t, c, get("/"))
	mustDo(t, c, get("/"))
	if n := target.conns.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// dyingAfter answers the first request, and closes the connection when told.
func dyingAfter(die <-chan struct{}, died chan<- struct{}) func(int64, net.Conn, *bufio.Reader) {
	return func(n int64, c net.Conn, br *bufio.Reader) {
		if n > 1 {
			answering(hello)(n, c, br)
			return
		}
		if _, err := readHead(br); err != nil {
			return
		}
		_, _ = io.WriteString(c, hello)
		<-die
		_ = c.Close()
		close(died)
	}
}

func TestARequestThatMeetsADeadConnectionGoesOverANewOne(t *testing.T) {
	for _, method := range []string{"GET", "POST", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			die, died := make(chan struct{}), make(chan struct{})
			target := newTarget(t, dyingAfter(die, died))
			c := newClient(t, target.address)
			mustDo(t, c, get("/"))
			close(die)
			receive(t, "death", died)
			if _, body := mustDo(t, c, httptest.NewRequest(method, "/", nil)); body != "hello" {
				t.Errorf("got %q", body)
			}
		})
	}
}

func TestAPostIsNeverSentTwice(t *testing.T) {
	posts := make(chan int64, 4)
	target := newTarget(t, func(n int64, c net.Conn, br *bufio.Reader) {
		_, _ = readHead(br)
		_, _ = io.WriteString(c, hello)
		if _, err := readHead(br); err == nil {
			posts <- n // read the POST, then die without an answer
		}
	})
	c := newClient(t, target.address)
	mustDo(t, c, get("/"))
	if _, _, err := do(t, c, httptest.NewRequest("POST", "/", nil)); err == nil {
		t.Fatal("a POST that was read and not answered succeeded")
	}
	receive(t, "the POST", posts)
	if len(posts) != 0 || target.conns.Load() != 1 {
		t.Error("the POST was sent again")
	}
	// The same for a request that may be repeated goes over a new connection.
	mustDo(t, c, get("/"))
	if _, body := mustDo(t, c, get("/")); body != "hello" || target.conns.Load() != 3 {
		t.Errorf("the GET got %q over %d connections", body, target.conns.Load())
	}
}

func TestADialErrorLeavesTheBodyUntouched(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	r := post("order 1")
	if _, _, err := do(t, newClient(t, address), r); !isError[*DialError](err) {
		t.Fatalf("error %v, want a DialError", err)
	}
	target := newTarget(t, func(_ int64, c net.Conn, br *bufio.Reader) {
		_, _ = readHead(br)
		b := make([]byte, len("order 1"))
		_, _ = io.ReadFull(br, b)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"+string(b))
	})
	if _, body := mustDo(t, newClient(t, target.address), r); body != "order 1" {
		t.Errorf("the other target got %q", body)
	}
}

func TestTheResponseHeaderIsBoundInTimeAndSize(t *testing.T) {
	silent := newTarget(t, func(_ int64, _ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	c := New(Config{Address: silent.address, ResponseHeaderTimeout: 20 * time.Millisecond})
	if _, _, err := do(t, c, get("/")); !errors.Is(err, ErrHeaderTimeout) {
		t.Errorf("a silent target: %v", err)
	}
	if _, _, err := do(t, c, post("small")); !errors.Is(err, ErrHeaderTimeout) {
		t.Errorf("a silent target and a body: %v", err)
	}
	long := make([]byte, 2000)
	for i := range long {
		long[i] = 'a'
	}
	talker := newTarget(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: "+string(long)+"\r\n\r\n"))
	c = New(Config{Address: talker.address, MaxResponseHeaderBytes: 1000})
	if _, _, err := do(t, c, get("/")); !errors.Is(err, errHeaderTooLarge) {
		t.Errorf("a long header: %v", err)
	}
	c = New(Config{Address: talker.address, MaxResponseHeaderBytes: 3000})
	mustDo(t, c, get("/"))
}

func TestAnEndlessRowOfInformationalResponsesEnds(t *testing.T) {
	target := newTarget(t, func(_ int64, c net.Conn, br *bufio.Reader) {
		_, _ = readHead(br)
		for {
			if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
				return
			}
		}
	})
	if _, _, err := do(t, newClient(t, target.address), get("/")); err == nil {
		t.Error("no error")
	}
}

func TestAStatusThatIsNoneIsAnError(t *testing.T) {
	target := newTarget(t, answering("HTTP/1.1 042 What\r\nContent-Length: 0\r\n\r\n"))
	if _, _, err := do(t, newClient(t, target.address), get("/")); err == nil {
		t.Error("no error")
	}
}

func TestTheEndOfTheRequestsContextEndsTheCall(t *testing.T) {
	arrived := make(chan struct{})
	closed := make(chan struct{})
	target := newTarget(t, func(_ int64, _ net.Conn, br *bufio.Reader) {
		_, _ = readHead(br)
		close(arrived)
		_, _ = io.Copy(io.Discard, br)
		close(closed)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, _, err := do(t, newClient(t, target.address), get("/").WithContext(ctx)); !errors.Is(err, ErrAborted) {
		t.Errorf("error %v", err)
	}
	receive(t, "close of the connection", closed)
}
