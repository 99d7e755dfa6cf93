package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

const (
	openSwitches = 30
	half         = 10      // events, lines or messages before the switch, and as many after it
	halfUpload   = 4 << 20 // bytes
)

// halves is what the exchanges over one target wait for: each is begun before the switch and ends after it.
type halves struct {
	begun chan struct{} // one for each exchange that the target has begun with
	goOn  chan struct{} // closed when the target drains
}

func newHalves() *halves {
	return &halves{begun: make(chan struct{}, 100), goOn: make(chan struct{})}
}

// webTarget serves events and uploads in two halves, and upgraded connections, each telling its target's name.
func (h *halves) webTarget(name string) (string, func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range 2 * half {
			if n == half {
				h.begun <- struct{}{}
				<-h.goOn
			}
			_, _ = fmt.Fprintf(w, "data: %s\n\n", name)
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		first, _ := io.CopyN(io.Discard, r.Body, halfUpload)
		h.begun <- struct{}{}
		rest, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %d %v", name, first+rest, err)
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, _ *http.Request) {
		nc, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n")
		for line, err := buffered.ReadString('\n'); err == nil; line, err = buffered.ReadString('\n') {
			_, _ = fmt.Fprintf(nc, "%s %s", name, line)
		}
	})
	s := httptest.NewServer(mux)
	return s.Listener.Addr().String(), func() {
		s.CloseClientConnections() // whatever is in flight: nothing may be
		s.Close()
	}
}

func (h *halves) readEvents(client *http.Client, url, name string) error {
	return expect(client, http.MethodGet, url+"/events", nil, strings.Repeat("data: "+name+"\n\n", 2*half))
}

// upload sends a body of unknown length, the second half of it after the switch.
func (h *halves) upload(client *http.Client, url, name string) error {
	r, w := io.Pipe()
	go func() {
		_, _ = io.CopyN(w, zeros{}, halfUpload)
		<-h.goOn
		_, _ = io.CopyN(w, zeros{}, halfUpload)
		_ = w.Close()
	}()
	return expect(client, http.MethodPut, url+"/upload", r, fmt.Sprintf("%s %d <nil>", name, 2*halfUpload))
}

// talk says lines over an upgraded connection, half of them after the switch.
func (h *halves) talk(address, name string) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(nc, "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
	br := bufio.NewReader(nc)
	res, err := http.ReadResponse(br, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return errors.Join(err, fmt.Errorf("got %v", res))
	}
	for n := range 2 * half {
		if n == half {
			h.begun <- struct{}{}
			<-h.goOn
		}
		_, _ = fmt.Fprintf(nc, "line %d\n", n)
		if got, err := br.ReadString('\n'); err != nil || got != fmt.Sprintf("%s line %d\n", name, n) {
			return errors.Join(err, fmt.Errorf("got %q", got))
		}
	}
	return nil
}

// grpcTarget answers each message with its name: a unary call after the switch, streams as they go.
func (h *halves) grpcTarget(name string) (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		for {
			if err := stream.RecvMsg(&wrapperspb.StringValue{}); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if method == "/t/Unary" {
				h.begun <- struct{}{}
				<-h.goOn
			}
			times := 1
			if method == "/t/Stream" {
				times = 2 * half
			}
			for n := range times {
				if method == "/t/Stream" && n == half {
					h.begun <- struct{}{}
					<-h.goOn
				}
				if err := stream.SendMsg(wrapperspb.String(name)); err != nil {
					return err
				}
			}
		}
	}))
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), s.Stop
}

// call sends messages and expects the target's name so many times for each. With waits half of them are sent after the switch.
func (h *halves) call(conn *grpc.ClientConn, method, name string, sends, receives int, waits bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	for n := range sends {
		if waits && n == sends/2 {
			h.begun <- struct{}{}
			<-h.goOn
		}
		if err := s.SendMsg(wrapperspb.String("a")); err != nil {
			return err
		}
		for range receives {
			m := &wrapperspb.StringValue{}
			if err := s.RecvMsg(m); err != nil || m.GetValue() != name {
				return errors.Join(err, fmt.Errorf("got %q of %q", m.GetValue(), name))
			}
		}
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	if err := s.RecvMsg(&wrapperspb.StringValue{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the end was %w", err)
	}
	return nil
}

// exchange is one that is under way during a switch.
type exchange struct {
	kind string
	run  func(h *halves, name string) error
}

// switchUnder moves requests from one target to the next, as often as openSwitches, with every exchange under way at each switch.
func (s *service) switchUnder(exchanges []exchange, target func(h *halves, name string) (string, func())) {
	s.t.Helper()
	id := func(n int) string { return fmt.Sprintf("task-%d", n) }
	h := newHalves()
	old, stopOld := target(h, id(0))
	s.apply(1000, open(id(0), old), nil)
	for n := range openSwitches {
		var running sync.WaitGroup
		for _, x := range exchanges {
			running.Go(func() {
				if err := x.run(h, id(n)); err != nil {
					s.t.Errorf("switch %d: %s was lost: %v", n, x.kind, err)
					h.begun <- struct{}{} // perhaps it never did
				}
			})
		}
		for range exchanges {
			<-h.begun
		}
		next := newHalves()
		fresh, stopFresh := target(next, id(n+1))
		was, is, drains := open(id(n), old), open(id(n+1), fresh), draining(id(n), old)
		if n%2 == 0 {
			s.apply(0, was, is)
			s.apply(0, drains, is)
		} else {
			s.apply(1000, is, was)
			s.apply(1000, is, drains)
		}
		close(h.goOn)
		s.awaitDrained(id(n))
		stopOld()
		running.Wait()
		h, old, stopOld = next, fresh, stopFresh
	}
	s.t.Cleanup(stopOld)
}

func TestStreamsThatAreOpenAtASwitchEndWhole(t *testing.T) {
	_, driver := start(t, Config{})
	s := newService(t, driver, "shop/web", traffic.HTTP1)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	h1 := &http.Client{Transport: transport, Timeout: patience}
	prior := &http.Transport{Protocols: new(http.Protocols)}
	prior.Protocols.SetUnencryptedHTTP2(true)
	defer prior.CloseIdleConnections()
	h2 := &http.Client{Transport: prior, Timeout: patience}
	url := "http://" + s.address
	events := func(client *http.Client) func(*halves, string) error {
		return func(h *halves, name string) error { return h.readEvents(client, url, name) }
	}
	upload := func(client *http.Client) func(*halves, string) error {
		return func(h *halves, name string) error { return h.upload(client, url, name) }
	}
	c := newClients()
	load := sync.OnceFunc(func() {
		c.run("GET", 4, func() error { return expect(h1, http.MethodGet, url, nil, "ok") })
		c.run("HTTP/2 GET", 4, func() error { return expect(h2, http.MethodGet, url, nil, "ok") })
	})
	s.switchUnder([]exchange{
		{"an event stream", events(h1)},
		{"an event stream", events(h1)},
		{"an HTTP/2 event stream", events(h2)},
		{"an HTTP/2 event stream", events(h2)},
		{"an upload", upload(h1)},
		{"an HTTP/2 upload", upload(h2)},
		{"an upgraded connection", func(h *halves, name string) error { return h.talk(s.address, name) }},
		{"an upgraded connection", func(h *halves, name string) error { return h.talk(s.address, name) }},
	}, func(h *halves, name string) (string, func()) {
		if s.generation > 0 {
			load() // the first target serves
		}
		return h.webTarget(name)
	})
	c.stop(t)
}

func TestGRPCCallsThatAreOpenAtASwitchEndWhole(t *testing.T) {
	_, driver := start(t, Config{})
	s := newService(t, driver, "shop/api", traffic.GRPC)
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	call := func(method string, sends, receives int, waits bool) func(*halves, string) error {
		return func(h *halves, name string) error { return h.call(conn, method, name, sends, receives, waits) }
	}
	unary, server, both := call("/t/Unary", 1, 1, false), call("/t/Stream", 1, 2*half, false), call("/t/Echo", 2*half, 1, true)
	c := newClients()
	load := sync.OnceFunc(func() {
		c.run("bidirectional stream", 4, func() error { return stream(conn, "/t/Echo", half, 1) })
	})
	s.switchUnder([]exchange{
		{"a unary call", unary},
		{"a unary call", unary},
		{"a server stream", server},
		{"a server stream", server},
		{"a bidirectional stream", both},
		{"a bidirectional stream", both},
	}, func(h *halves, name string) (string, func()) {
		if s.generation > 0 {
			load()
		}
		return h.grpcTarget(name)
	})
	c.stop(t)
}
