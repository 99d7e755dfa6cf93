package dataplane

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

var protocols = []string{traffic.HTTP1, traffic.HTTP2}

func TestEveryProtocolReachesEveryTarget(t *testing.T) {
	seen := make(chan *http.Request, 1)
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Header.Set("Body", string(body))
		seen <- r
		w.Header().Set("Trailer", "X-Sum")
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "X-Hop")
			w.Header().Set("X-Hop", "secret")
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "made")
		w.Header().Set("X-Sum", "42")
	})
	clients := map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": h2c(t)}
	for _, protocol := range protocols {
		for name, client := range clients {
			t.Run(name+" to "+protocol, func(t *testing.T) {
				b := newTestbed(t, Config{})
				b.apply(all(groupOf("blue", protocol, open(backend))))
				req, _ := http.NewRequestWithContext(t.Context(), "PUT", "http://"+b.address+"/a%2Fb?q=1", strings.NewReader("order"))
				req.Header.Set("X-Forwarded-For", "203.0.113.9")
				req.Header.Set("Te", "trailers")
				req.Host = "shop.example"
				res, err := client.Do(req)
				if body := readAll(t, res, err); body != "made" || res.StatusCode != 201 || res.Trailer.Get("X-Sum") != "42" {
					t.Errorf("got %d %q, trailers %v", res.StatusCode, body, res.Trailer)
				}
				if res.Header.Get("X-Hop") != "" || res.Close {
					t.Errorf("a header of the other hop came through: %v", res.Header)
				}
				r := receive(t, "the request", seen)
				_, port, _ := net.SplitHostPort(b.address)
				got := fmt.Sprint(r.Method, " ", r.RequestURI, " ", r.Host, " ", r.Header.Get("Body"), " ", r.Header.Get("X-Forwarded-For"),
					" ", r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("X-Forwarded-Port"), " ", r.Header.Get("Te"), " ", r.ProtoMajor)
				major := map[string]int{traffic.HTTP1: 1, traffic.HTTP2: 2}[protocol]
				if want := fmt.Sprint("PUT /a%2Fb?q=1 shop.example order 203.0.113.9, 127.0.0.1 http ", port, " trailers ", major); got != want {
					t.Errorf("the target got\n%s, want\n%s", got, want)
				}
			})
		}
	}
}

func TestAnEventStreamComesEventByEvent(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			next := make(chan string)
			backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_ = http.NewResponseController(w).Flush()
				for {
					select {
					case event := <-next:
						_, _ = io.WriteString(w, "data: "+event+"\n\n")
						_ = http.NewResponseController(w).Flush()
					case <-r.Context().Done():
						return
					}
				}
			})
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(backend))))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+b.address, nil)
			res, err := http.DefaultClient.Do(req) // returns before the first event
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			lines := bufio.NewReader(res.Body)
			for _, event := range []string{"one", "two", "three"} {
				next <- event
				if line, err := lines.ReadString('\n'); err != nil || line != "data: "+event+"\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				_, _ = lines.ReadString('\n')
			}
		})
	}
}

func TestInformationalResponsesComeThrough(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "page")
	})
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(backend))))
			var hints []string
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", h.Get("Link")))
				return nil
			}})
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+b.address, nil)
			res, err := http.DefaultClient.Do(req)
			if body := readAll(t, res, err); body != "page" || res.Header.Get("Link") != "" {
				t.Errorf("got %q, %v", body, res.Header)
			}
			if len(hints) != 1 || hints[0] != "103 </style.css>; rel=preload" {
				t.Errorf("hints %q", hints)
			}
		})
	}
}

func TestAResponseThatBreaksOffBreaksOffForTheClient(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, protocol := range protocols {
		for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": h2c(t)} {
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(backend))))
			res, err := client.Get("http://" + b.address)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s to %s: a half response looks whole: %q", name, protocol, body)
			}
			_ = res.Body.Close()
		}
	}
}

func TestASilentTargetIsAGatewayTimeout(t *testing.T) {
	slow := newHolding(t)
	for _, protocol := range protocols {
		b := newTestbed(t, Config{ResponseHeaderTimeout: 20 * time.Millisecond})
		b.apply(all(groupOf("blue", protocol, open(slow.address))))
		if res, body := b.get("/"); res.StatusCode != http.StatusGatewayTimeout || !strings.Contains(body, "did not answer in time") {
			t.Errorf("%s: got %d %q", protocol, res.StatusCode, body)
		}
		if got := b.count("HTTPCode_ELB_5XX_Count"); got != 1 {
			t.Errorf("%s: %d were counted", protocol, got)
		}
	}
}

func TestAClientThatGoesEndsItsRequestAtTheTarget(t *testing.T) {
	for _, protocol := range protocols {
		ended := make(chan struct{})
		came := make(chan struct{})
		backend := newBackend(t, func(_ http.ResponseWriter, r *http.Request) {
			close(came)
			<-r.Context().Done()
			close(ended)
		})
		b := newTestbed(t, Config{})
		b.apply(all(groupOf("blue", protocol, open(backend))))
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+b.address, nil)
			_, err := http.DefaultClient.Do(req)
			failed <- err
		}()
		receive(t, "the request", came)
		cancel()
		receive(t, "the end at the target", ended)
		if err := receive(t, "the client's error", failed); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := b.count("HTTPCode_ELB_5XX_Count"); got != 0 {
			t.Errorf("%s: a client that went was counted as the proxy's failure", protocol)
		}
	}
}

func TestALongUploadMeetsAnEarlyAnswer(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex() // else the target itself waits for the body
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	for _, protocol := range protocols {
		b := newTestbed(t, Config{})
		b.apply(all(groupOf("blue", protocol, open(backend))))
		reader, writer := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.address, reader)
		res, err := http.DefaultClient.Do(req) // with a body that never ends
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d", protocol, res.StatusCode)
		}
		_ = writer.Close()
		_ = res.Body.Close()
	}
}

func TestBothDirectionsFlowAtOnce(t *testing.T) {
	backend := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "echo "+line)
			_ = rc.Flush()
		}
	})
	for _, protocol := range protocols {
		for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": h2c(t)} {
			b := newTestbed(t, Config{})
			b.apply(all(groupOf("blue", protocol, open(backend))))
			reader, writer := io.Pipe()
			req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+b.address, reader)
			res, err := client.Do(req)
			if err != nil {
				t.Fatalf("%s to %s: %v", name, protocol, err)
			}
			lines := bufio.NewReader(res.Body)
			for i := range 5 {
				_, _ = fmt.Fprintf(writer, "%d\n", i)
				if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("echo %d\n", i) {
					t.Fatalf("%s to %s: got %q, %v", name, protocol, line, err)
				}
			}
			_ = writer.Close()
			if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
				t.Errorf("%s to %s: rest %q, %v", name, protocol, rest, err)
			}
			_ = res.Body.Close()
		}
	}
}

func TestALongResponseOutlivesEveryTimeoutOfItsBeginning(t *testing.T) {
	const short = 50 * time.Millisecond
	backend := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		for range 4 {
			<-time.After(short)
			_, _ = io.WriteString(w, "x")
			_ = http.NewResponseController(w).Flush()
		}
	})
	for _, protocol := range protocols {
		for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": h2c(t)} {
			b := newTestbed(t, Config{
				ReadHeaderTimeout: short, ResponseHeaderTimeout: short, DialTimeout: short, ClientIdleTimeout: short, TargetIdleTimeout: short,
			})
			b.apply(all(groupOf("blue", protocol, open(backend))))
			res, err := client.Get("http://" + b.address)
			if body := readAll(t, res, err); body != "xxxx" {
				t.Errorf("%s to %s: got %q", name, protocol, body)
			}
		}
	}
}

func TestAClientThatSaysNothingIsCutOff(t *testing.T) {
	b := newTestbed(t, Config{ReadHeaderTimeout: 20 * time.Millisecond})
	b.apply(all(groupOf("blue", "")))
	for _, begin := range []string{"", "GET / HTTP/1.1\r\nHost:", "PRI * HT"} {
		nc, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(nc, begin)
		_ = nc.SetDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after %q the connection stays open", begin)
		}
		_ = nc.Close()
	}
}

func TestMethodsThatALoadBalancerRefuses(t *testing.T) {
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(saying(t, "blue")))))
	for method, want := range map[string]int{"TRACE": 405, "CONNECT": 400} {
		nc, err := net.Dial("tcp", b.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(nc, "%s x:1 HTTP/1.1\r\nHost: x\r\n\r\n", method)
		if method == "TRACE" {
			_ = nc.Close()
			nc, _ = net.Dial("tcp", b.address)
			_, _ = fmt.Fprintf(nc, "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		res, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%s: %v, %v", method, res, err)
		}
		_ = nc.Close()
	}
}

func TestASmuggledHTTP2RequestCannotBecomeTwo(t *testing.T) {
	b := newTestbed(t, Config{})
	b.apply(all(groupOf("blue", "", open(saying(t, "blue")))))
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+b.address+"/?a b HTTP/1.1", nil)
	req.URL.RawQuery = "a b HTTP/1.1"
	if res, err := h2c(t).Do(req); err == nil {
		if body := readAll(t, res, nil); res.StatusCode != http.StatusBadRequest {
			t.Errorf("got %d %q", res.StatusCode, body)
		}
	}
}
