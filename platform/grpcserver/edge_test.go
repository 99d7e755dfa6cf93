package grpcserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// certificate writes the certificate of httptest and its key, and returns them with what trusts them.
func certificate(t *testing.T) (certFile, keyFile string, trusts *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	own := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: own.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return certFile, keyFile, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// priorKnowledge speaks HTTP/2 in plaintext, as gRPC clients do.
func priorKnowledge() *http.Client {
	transport := &http.Transport{Protocols: &http.Protocols{}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: transport}
}

// web is the calls of one protocol.
type web struct {
	apply *connect.Client[trafficpb.ApplyRoutesRequest, trafficpb.ApplyRoutesResponse]
	watch *connect.Client[trafficpb.WatchRoutesRequest, trafficpb.WatchRoutesResponse]
}

func webClient(client *http.Client, base string, options ...connect.ClientOption) web {
	const service = "/slipway.traffic.v1.TrafficService/"
	return web{
		connect.NewClient[trafficpb.ApplyRoutesRequest, trafficpb.ApplyRoutesResponse](client, base+service+"ApplyRoutes", options...),
		connect.NewClient[trafficpb.WatchRoutesRequest, trafficpb.WatchRoutesResponse](client, base+service+"WatchRoutes", options...),
	}
}

// watching streams three messages and then the error.
func watching(err error) func(grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
	return func(stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		if err := stream.SetHeader(metadata.Pairs("slipway-resume-token", "t")); err != nil {
			return err
		}
		for i := range 3 {
			if err := stream.Send(&trafficpb.WatchRoutesResponse{RemovedServices: []string{fmt.Sprint(i)}}); err != nil {
				return err
			}
		}
		return err
	}
}

func TestThePortSpeaksConnectGRPCWebAndJSON(t *testing.T) {
	t.Parallel()
	cert, key, trusts := certificate(t)
	for scheme, cfg := range map[string]grpcserver.Config{"http": {Token: "secret"}, "https": {Token: "secret", TLSCert: cert, TLSKey: key}} {
		b := setup(t, &traffic{watch: watching(problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "no such service"))}, cfg)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusts, ForceAttemptHTTP2: true}}
		for protocol, options := range map[string][]connect.ClientOption{
			"connect": nil, "connect, JSON": {connect.WithProtoJSON()}, "gRPC-Web": {connect.WithGRPCWeb()}, "gRPC-Web, JSON": {connect.WithGRPCWeb(), connect.WithProtoJSON()},
			"gRPC": {connect.WithGRPC()}, "gRPC, JSON": {connect.WithGRPC(), connect.WithProtoJSON()},
		} {
			over := client
			if scheme == "http" && protocol == "gRPC" {
				over = priorKnowledge()
			}
			t.Run(scheme+" "+protocol, func(t *testing.T) {
				t.Parallel()
				speaks(t, webClient(over, scheme+"://"+b.server.Addr(), options...))
			})
		}
	}
}

func speaks(t *testing.T, c web) {
	t.Helper()
	call := func(req *trafficpb.ApplyRoutesRequest, token string) error {
		r := connect.NewRequest(req)
		r.Header().Set("Authorization", "Bearer "+token)
		_, err := c.apply.CallUnary(t.Context(), r)
		return err
	}
	if err := call(request(), "secret"); err != nil {
		t.Error(err)
	}
	if err := call(request(), "wrong"); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("a wrong token: %v", err)
	}
	err := call(&trafficpb.ApplyRoutesRequest{Generation: -1}, "secret")
	if fields := violations(t, err); connect.CodeOf(err) != connect.CodeInvalidArgument || len(fields) == 0 {
		t.Errorf("an invalid request: %v, violations %v", err, fields)
	}
	r := connect.NewRequest(&trafficpb.WatchRoutesRequest{})
	r.Header().Set("Authorization", "Bearer secret")
	stream, err := c.watch.CallServerStream(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var got []string
	for stream.Receive() {
		got = append(got, stream.Msg().GetRemovedServices()...)
	}
	if strings.Join(got, "") != "012" || connect.CodeOf(stream.Err()) != connect.CodeNotFound {
		t.Errorf("the stream gave %v and ended with %v", got, stream.Err())
	}
	if token := stream.ResponseHeader().Get("Slipway-Resume-Token"); token != "t" {
		t.Errorf("the header is %q", token)
	}
}

// violations is the fields that the error names.
func violations(t *testing.T, err error) []string {
	t.Helper()
	var fields []string
	if e := (*connect.Error)(nil); errors.As(err, &e) {
		for _, d := range e.Details() {
			v, err := d.Value()
			if err != nil {
				t.Error(err)
			}
			if bad, ok := v.(*errdetails.BadRequest); ok {
				for _, f := range bad.GetFieldViolations() {
					fields = append(fields, f.GetField())
				}
			}
		}
	}
	return fields
}

func TestGRPCOverTLSIsServedNatively(t *testing.T) {
	t.Parallel()
	cert, key, trusts := certificate(t)
	b := setup(t, &traffic{}, grpcserver.Config{TLSCert: cert, TLSKey: key})
	conn, err := grpc.NewClient(b.server.Addr(), grpc.WithTransportCredentials(credentials.NewTLS(trusts)), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := trafficpb.NewTrafficServiceClient(conn).ApplyRoutes(t.Context(), request()); err != nil {
		t.Error(err)
	}
}

// post sends a request as curl does.
func post(t *testing.T, method, url, body string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestWhatCurlSends(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{}, grpcserver.Config{})
	base := "http://" + b.server.Addr()
	const apply, asJSON = "/slipway.traffic.v1.TrafficService/ApplyRoutes", "application/json"
	for name, c := range map[string]struct {
		method, path, body, kind string
		status                   int
		text                     string
	}{
		"a call":               {http.MethodPost, apply, `{"generation":"1","routes":{"service":"default/web"}}`, asJSON, 200, "{}"},
		"with a charset":       {http.MethodPost, apply, `{"generation":1,"routes":{"service":"default/web"}}`, asJSON + "; charset=utf-8", 200, "{}"},
		"an unknown field":     {http.MethodPost, apply, `{"generatoin":1}`, asJSON, 400, `generatoin`},
		"no JSON":              {http.MethodPost, apply, ``, asJSON, 400, "empty body"},
		"another content type": {http.MethodPost, apply, `{}`, "text/plain", 415, ""},
		"GET of a method":      {http.MethodGet, apply, ``, "", 405, "called with POST"},
		"a stream":             {http.MethodPost, "/slipway.traffic.v1.TrafficService/WatchRoutes", `{}`, asJSON, 415, "is a stream"},
		"an unknown path":      {http.MethodGet, "/", ``, "", 404, trafficService},
		"health":               {http.MethodGet, "/healthz", ``, "", 200, `{"status":"SERVING"}`},
		"health by the method": {http.MethodPost, "/grpc.health.v1.Health/Check", `{}`, asJSON, 200, `"SERVING"`},
	} {
		status, text, _ := post(t, c.method, base+c.path, c.body, "Content-Type", c.kind)
		if status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	b.server.SetServing("", false)
	if status, text, _ := post(t, http.MethodGet, base+"/healthz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("not serving: %d %s", status, text)
	}
}

func TestPagesCallOnlyWhereTheirOriginIsAllowed(t *testing.T) {
	t.Parallel()
	const path, good, bad = "/slipway.traffic.v1.TrafficService/ApplyRoutes", "https://console.example", "http://evil.example"
	body := `{"generation":1,"routes":{"service":"default/web"}}`
	closed := "http://" + setup(t, &traffic{}, grpcserver.Config{}).server.Addr() + path
	allowed := "http://" + setup(t, &traffic{}, grpcserver.Config{AllowedOrigins: []string{good}}).server.Addr() + path
	every := "http://" + setup(t, &traffic{}, grpcserver.Config{AllowedOrigins: []string{"*"}}).server.Addr() + path
	for name, c := range map[string]struct {
		url, origin string
		ok          bool
	}{
		"none is allowed": {closed, good, false}, "this one": {allowed, good, true}, "another": {allowed, bad, false}, "every one": {every, bad, true},
	} {
		status, _, header := post(t, http.MethodOptions, c.url, "", "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if got := header.Get("Access-Control-Allow-Origin"); (got == c.origin) != c.ok || (status == http.StatusNoContent) != c.ok {
			t.Errorf("%s: the preflight was answered %d, allowing %q", name, status, got)
		}
		status, text, _ := post(t, http.MethodPost, c.url, body, "Origin", c.origin, "Content-Type", "application/json")
		if (status == http.StatusOK) != c.ok {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestAMessageOverTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{}, grpcserver.Config{})
	body := `{"generation":1,"routes":{"service":"` + strings.Repeat("x", 65<<20) + `"}}`
	status, text, _ := post(t, http.MethodPost, "http://"+b.server.Addr()+"/slipway.traffic.v1.TrafficService/ApplyRoutes", body, "Content-Type", "application/json")
	if status != http.StatusTooManyRequests || !strings.Contains(text, "resource_exhausted") {
		t.Errorf("%d %.200s", status, text)
	}
}

func TestAWatcherThatGoesAwayFreesItsHandler(t *testing.T) {
	t.Parallel()
	freed := make(chan error, 1)
	b := setup(t, &traffic{watch: func(stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		if err := stream.Send(&trafficpb.WatchRoutesResponse{Snapshot: true}); err != nil {
			return err
		}
		<-stream.Context().Done()
		freed <- stream.Context().Err()
		return stream.Context().Err()
	}}, grpcserver.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := webClient(&http.Client{}, "http://"+b.server.Addr()).watch.CallServerStream(ctx, connect.NewRequest(&trafficpb.WatchRoutesRequest{}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	cancel()
	_ = stream.Close()
	select {
	case <-freed:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler goes on")
	}
}

func TestStopEndsStreamsOverHTTPInTime(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{watch: func(stream grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		if err := stream.Send(&trafficpb.WatchRoutesResponse{Snapshot: true}); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}}, grpcserver.Config{})
	stream, err := webClient(&http.Client{}, "http://"+b.server.Addr(), connect.WithProtoJSON()).watch.
		CallServerStream(t.Context(), connect.NewRequest(&trafficpb.WatchRoutesRequest{}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	began := time.Now()
	b.stop(t, 20*time.Second)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

// A client that says nothing holds nothing up.
func TestConnectionsThatSayNothingDisturbNobody(t *testing.T) {
	t.Parallel()
	b := setup(t, &traffic{}, grpcserver.Config{})
	for range 20 {
		conn, err := net.Dial("tcp", b.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	if _, err := b.client.ApplyRoutes(t.Context(), request()); err != nil {
		t.Error(err)
	}
}
