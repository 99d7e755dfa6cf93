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
	events     = 20
	uploadSize = 1 << 20
)

// webTarget answers, streams events, counts an upload's bytes and echoes lines over an upgraded connection.
func webTarget() (string, func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for n := range events {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", n)
			_ = http.NewResponseController(w).Flush()
		}
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%d %v", n, err)
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, _ *http.Request) {
		nc, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n")
		_, _ = io.Copy(nc, buffered)
	})
	s := httptest.NewServer(mux)
	return s.Listener.Addr().String(), s.Close
}

func TestNoHTTPRequestIsLostOverSixtySwitches(t *testing.T) {
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
	c := newClients()
	ready := sync.OnceFunc(func() {
		c.run("GET", 3, func() error { return expect(h1, http.MethodGet, url, nil, "ok") })
		c.run("POST", 3, func() error { return expect(h1, http.MethodPost, url, strings.NewReader("order"), "ok") })
		c.run("HTTP/2 POST", 2, func() error { return expect(h2, http.MethodPost, url, strings.NewReader("order"), "ok") })
		c.run("upload", 1, func() error {
			return expect(h1, http.MethodPut, url+"/upload", io.LimitReader(zeros{}, uploadSize), fmt.Sprint(uploadSize, " <nil>"))
		})
		c.run("event stream", 1, func() error { return readEvents(h1, url+"/events") })
		c.run("upgraded connection", 1, func() error { return talk(s.address) })
	})
	s.switchOver(60, func() (string, func()) {
		address, stop := webTarget()
		if s.generation > 0 {
			ready() // the first target serves
		}
		return address, stop
	})
	c.stop(t)
}

// zeros is an endless body of unknown length.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func expect(client *http.Client, method, url string, body io.Reader, want string) error {
	req, err := http.NewRequestWithContext(context.Background(), method, url, body)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || string(got) != want {
		return errors.Join(err, fmt.Errorf("got %d %q", res.StatusCode, got))
	}
	return nil
}

func readEvents(client *http.Client, url string) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if n := strings.Count(string(body), "data: "); err != nil || n != events {
		return errors.Join(err, fmt.Errorf("%d events", n))
	}
	return nil
}

// talk opens an upgraded connection, says some lines and hears them again.
func talk(address string) error {
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
	for n := range events {
		line := fmt.Sprintf("line %d\n", n)
		_, _ = io.WriteString(nc, line)
		if got, err := br.ReadString('\n'); err != nil || got != line {
			return errors.Join(err, fmt.Errorf("got %q", got))
		}
	}
	return nil
}

// grpcTarget echoes: once for a unary call, events times for a server stream, each message for a bidirectional one.
func grpcTarget() (string, func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		for {
			m := &wrapperspb.StringValue{}
			if err := stream.RecvMsg(m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			times := 1
			if method == "/t/Stream" {
				times = events
			}
			for range times {
				if err := stream.SendMsg(m); err != nil {
					return err
				}
			}
		}
	}))
	go func() { _ = s.Serve(l) }()
	return l.Addr().String(), s.Stop // at once, with whatever is in flight: nothing may be
}

func TestNoGRPCCallIsLostOverSixtySwitches(t *testing.T) {
	_, driver := start(t, Config{})
	s := newService(t, driver, "shop/api", traffic.GRPC)
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := newClients()
	ready := sync.OnceFunc(func() {
		c.run("unary call", 6, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			got := &wrapperspb.StringValue{}
			err := conn.Invoke(ctx, "/t/Unary", wrapperspb.String("a"), got)
			if err == nil && got.GetValue() != "a" {
				return fmt.Errorf("got %q", got.GetValue())
			}
			return err
		})
		c.run("server stream", 2, func() error { return stream(conn, "/t/Stream", 1, events) })
		c.run("bidirectional stream", 2, func() error { return stream(conn, "/t/Echo", events, 1) })
	})
	s.switchOver(60, func() (string, func()) {
		if s.generation > 0 {
			ready()
		}
		return grpcTarget()
	})
	c.stop(t)
}

// stream sends messages and expects so many for each, then the end.
func stream(conn *grpc.ClientConn, method string, sends, receives int) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}
	for range sends {
		if err := s.SendMsg(wrapperspb.String("a")); err != nil {
			return err
		}
		for range receives {
			if err := s.RecvMsg(&wrapperspb.StringValue{}); err != nil {
				return err
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
