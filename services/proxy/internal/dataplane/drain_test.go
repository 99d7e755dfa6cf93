package dataplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// started sends a request that is held and returns the channel of what it got.
func started(t *testing.T, client *http.Client, address string) <-chan string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		res, err := client.Get("http://" + address)
		if err != nil {
			got <- "error " + err.Error()
			return
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		got <- fmt.Sprint(res.StatusCode, " ", strings.TrimSpace(string(body)), " ", err)
	}()
	return got
}

func TestRequestsInFlightAtADrainingTargetFinish(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			old, fresh := newHolding(t), saying(t, "new")
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(old.address))))
			held := started(t, http.DefaultClient, b.address)
			receive(t, "the request", old.came)
			b.apply(all(groupOf("blue", protocol, draining(old.address, time.Now().Add(time.Hour)), open(fresh))))
			if got := b.plane.Drained(web); len(got) != 0 {
				t.Fatalf("drained with a request in flight: %v", got)
			}
			for range 10 {
				if _, body := b.get("/"); body != "new" {
					t.Fatalf("a new request went to the draining target: %q", body)
				}
			}
			old.release()
			if got := receive(t, "the held request", held); got != "200 held <nil>" {
				t.Errorf("got %s", got)
			}
			b.awaitDrained(old.address)
		})
	}
}

func TestALargeUploadGoesOnThroughASwitch(t *testing.T) {
	const half = 8 << 20
	for _, protocol := range protocols {
		for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": h2c(t)} {
			t.Run(name+" to "+protocol, func(t *testing.T) {
				middle := make(chan struct{})
				old := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
					n, err := io.CopyN(io.Discard, r.Body, half)
					close(middle)
					rest, restErr := io.Copy(io.Discard, r.Body)
					_, _ = fmt.Fprint(w, n+rest, " ", errors.Join(err, restErr))
				})
				fresh := saying(t, "new")
				b := newTestbed(t, Config{})
				b.apply(all(groupOf("blue", protocol, open(old))))
				reader, writer := io.Pipe()
				got := make(chan string, 1)
				go func() {
					res, err := client.Post("http://"+b.address, "application/octet-stream", reader)
					if err != nil {
						got <- err.Error()
						return
					}
					defer func() { _ = res.Body.Close() }()
					body, _ := io.ReadAll(res.Body)
					got <- string(body)
				}()
				_, _ = writer.Write(make([]byte, half))
				receive(t, "the first half", middle)
				b.apply(all(groupOf("blue", protocol, draining(old, time.Now().Add(time.Hour)), open(fresh))))
				if _, body := b.get("/"); body != "new" {
					t.Errorf("got %q", body)
				}
				_, _ = writer.Write(make([]byte, half))
				_ = writer.Close()
				if got := receive(t, "the answer to the upload", got); got != fmt.Sprint(2*half, " <nil>") {
					t.Errorf("got %s", got)
				}
				b.awaitDrained(old)
			})
		}
	}
}

func TestARemovedTargetFinishesItsRequestsToo(t *testing.T) {
	old, fresh := newHolding(t), saying(t, "new")
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(old.address))))
	held := started(t, http.DefaultClient, b.address)
	receive(t, "the request", old.came)
	b.apply(all(groupOf("blue", "", open(fresh))))
	if _, body := b.get("/"); body != "new" {
		t.Errorf("got %q", body)
	}
	old.release()
	if got := receive(t, "the held request", held); got != "200 held <nil>" {
		t.Errorf("got %s", got)
	}
}

func TestTheEndOfTheDrainTimeCutsRequests(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			old := newHolding(t)
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(old.address))))
			held := started(t, http.DefaultClient, b.address)
			receive(t, "the request", old.came)
			b.apply(all(groupOf("blue", protocol, draining(old.address, time.Now().Add(20*time.Millisecond)))))
			if got := receive(t, "the held request", held); !strings.HasPrefix(got, "502 ") || !strings.Contains(got, "drain time") {
				t.Errorf("got %s", got)
			}
			b.awaitDrained(old.address)
			if got := b.plane.Cuts(); got != 1 {
				t.Errorf("%d cuts", got)
			}
		})
	}
}

func TestARemovedTargetThatNeverDrainedIsCutInTheEnd(t *testing.T) {
	old := newHolding(t)
	b := newTestbed(t, Config{RemovedDrain: 20 * time.Millisecond})
	b.apply(all(groupOf("blue", "", open(old.address))))
	held := started(t, http.DefaultClient, b.address)
	receive(t, "the request", old.came)
	b.apply(all(groupOf("blue", "")))
	if got := receive(t, "the held request", held); !strings.HasPrefix(got, "502 ") {
		t.Errorf("got %s", got)
	}
}

func TestADrainCanBeTakenBackAndItsTimeMoved(t *testing.T) {
	old := newHolding(t)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(old.address))))
	held := started(t, http.DefaultClient, b.address)
	receive(t, "the request", old.came)
	b.apply(all(groupOf("blue", "", draining(old.address, time.Now().Add(time.Hour)))))
	b.apply(all(groupOf("blue", "", open(old.address))))
	again := started(t, http.DefaultClient, b.address)
	receive(t, "a request to the target that is back", old.came)
	b.apply(all(groupOf("blue", "", draining(old.address, time.Now().Add(time.Hour)))))
	b.apply(all(groupOf("blue", "", draining(old.address, time.Now().Add(20*time.Millisecond)))))
	for _, ch := range []<-chan string{held, again} {
		if got := receive(t, "a request", ch); !strings.HasPrefix(got, "502 ") {
			t.Errorf("got %s", got)
		}
	}
	b.awaitDrained(old.address)
}

func TestIdleConnectionsOfADrainingTargetAreClosed(t *testing.T) {
	for _, protocol := range protocols {
		closed := make(chan struct{}, 8)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http.Server{
			Protocols: new(http.Protocols),
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "blue") }),
			ConnState: func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					closed <- struct{}{}
				}
			},
		}
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
		b := newTestbed(t, Config{TargetIdleTimeout: time.Hour})
		b.apply(all(groupOf("blue", protocol, open(l.Addr().String()))))
		b.get("/")
		b.apply(all(groupOf("blue", protocol, draining(l.Addr().String(), time.Time{}))))
		receive(t, protocol+": close of the idle connection", closed)
		b.awaitDrained(l.Addr().String())
	}
}

func TestARemovedListenerLetsRequestsFinishAndItsAddressGo(t *testing.T) {
	for name, client := range map[string]*http.Client{"HTTP/1.1": {Transport: &http.Transport{}}, "HTTP/2": h2c(t)} {
		t.Run(name, func(t *testing.T) {
			old := newHolding(t)
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", "", open(old.address))))
			held := started(t, client, b.address)
			receive(t, "the request", old.came)
			r := b.routes(all(groupOf("blue", "", open(old.address))))
			r.Listeners = nil
			b.applyRoutes(r)
			l, err := net.Listen("tcp", b.address)
			if err != nil {
				t.Fatalf("the address was not given back: %v", err)
			}
			_ = l.Close()
			old.release()
			if got := receive(t, "the held request", held); got != "200 held <nil>" {
				t.Errorf("got %s", got)
			}
			if _, err := client.Get("http://" + b.address); err == nil {
				t.Error("the listener still answers")
			}
		})
	}
}

func TestConnectionsStayOpenOverChangesOfTheRoutes(t *testing.T) {
	blue, green := saying(t, "blue"), saying(t, "green")
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(blue))))
	nc, err := net.Dial("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	br := bufio.NewReader(nc)
	for i := range 10 {
		word, address := "blue", blue
		if i%2 == 1 {
			word, address = "green", green
		}
		b.apply(all(groupOf("g", "", open(address))))
		_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(br, nil)
		if body := readAll(t, res, err); body != word || res.Close {
			t.Fatalf("got %q, close %v", body, res.Close)
		}
	}
}

func TestClosingThePlaneCutsWhatDoesNotEnd(t *testing.T) {
	old := newHolding(t)
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(old.address))))
	held := started(t, http.DefaultClient, b.address)
	receive(t, "the request", old.came)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	b.plane.Close(ctx)
	if got := receive(t, "the held request", held); strings.HasPrefix(got, "200") {
		t.Errorf("got %s", got)
	}
	b.plane = New(Config{}) // for the clean-up, which closes once
}

// TestNoRequestEverComesAfterDrained is the promise that a target may be stopped once it is reported: clients hammer
// while targets are replaced, and a target that was reported counts what still comes.
func TestNoRequestEverComesAfterDrained(t *testing.T) {
	b := newTestbed(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	late := make(chan string, 100)
	newTarget := func(n int) (string, func()) {
		stopped := make(chan struct{})
		address := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			select {
			case <-stopped:
				late <- fmt.Sprint("target ", n)
			default:
			}
			_, _ = io.WriteString(w, "ok")
		})
		return address, func() { close(stopped) }
	}
	old, stop := newTarget(0)
	b.apply(all(groupOf("blue", "", open(old))))
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	failed := make(chan error, 8)
	for range 8 {
		go func() { failed <- hammer(ctx, transport, b.address) }()
	}
	for n := range 40 {
		fresh, stopFresh := newTarget(n + 1)
		b.apply(all(groupOf("blue", "", open(fresh), draining(old, time.Time{}))))
		b.awaitDrained(old)
		stop()
		old, stop = fresh, stopFresh
	}
	cancel()
	for range 8 {
		if err := receive(t, "a client", failed); err != nil {
			t.Error(err)
		}
	}
	if len(late) != 0 {
		t.Errorf("%d requests came after the target was reported drained, first at %s", len(late), <-late)
	}
}

// hammer sends one request after the other until ctx ends; any that fails is an error.
func hammer(ctx context.Context, transport *http.Transport, address string) error {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), "POST", "http://"+address, strings.NewReader("order"))
		if err != nil {
			return err
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return errors.Join(err, fmt.Errorf("status %d: %s", res.StatusCode, body))
		}
	}
	return nil
}
