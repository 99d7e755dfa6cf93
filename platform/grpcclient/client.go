// Package grpcclient connects to another Slipway service: a deadline on every unary call, retries with jitter on
// UNAVAILABLE only, a circuit breaker for each connection, and statuses turned back into problems, so that
// errors.Is(err, problem.NotFound) works across services. It knows no service.
package grpcclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/stats"

	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	maxMessage     = 64 << 20 // bytes, received or sent
	unaryDeadline  = 5 * time.Second
	pingEvery      = 10 * time.Second
	pingTimeout    = 5 * time.Second
	connectTimeout = 5 * time.Second
	maxReconnect   = 2 * time.Second
)

// serviceConfig retries what the server has not begun to handle or says is safe to send again. grpc-go spreads
// each wait by 20 %.
const serviceConfig = `{"methodConfig": [{
	"name": [{}],
	"retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]
	}
}]}`

// Config says whom to call and how.
type Config struct {
	// Target is host:port, or any name a gRPC resolver knows.
	Target string `flag:"target" env:"SLIPWAY_TARGET" help:"address of the service, host:port"`
	// CACert is a PEM file with the authorities to trust; it turns TLS on.
	CACert string `flag:"ca-cert" env:"SLIPWAY_CA_CERT" help:"CA file (PEM) to check the service's certificate with"`
	// Token is sent as "authorization: Bearer <token>".
	Token string `flag:"token" env:"SLIPWAY_TOKEN" secret:"true" help:"bearer token to send to the service"`
	// Insecure speaks without TLS, also to another machine. A loopback target without CACert needs no such leave.
	Insecure bool `flag:"insecure" env:"SLIPWAY_INSECURE" help:"speak to the service without TLS"`
	// Name is what messages and metrics call the service, e.g. "healthcheck"; the target by default.
	Name string `flag:"-"`
}

// Validate reports every broken rule at once.
func (c Config) Validate() error {
	var broken []problem.Violation
	if c.Target == "" {
		broken = append(broken, problem.Violation{Field: "target", Rule: "must be set, e.g. 127.0.0.1:7001"})
	}
	if c.Insecure && c.CACert != "" {
		broken = append(broken, problem.Violation{Field: "insecure", Rule: "and ca_cert exclude each other"})
	}
	if len(broken) > 0 {
		return problem.Violated(broken...)
	}
	return nil
}

// Dial returns a connection that is made on first use and made again whenever it breaks. Close it when done. The
// error is about the configuration only.
//
// A unary call without a deadline gets 5 s. Calls do not wait for a service that is down: they fail as
// Unavailable after the retries, or at once while the breaker is open.
func Dial(cfg Config) (*grpc.ClientConn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Name == "" {
		cfg.Name = cfg.Target
	}
	creds, err := cfg.credentials()
	if err != nil {
		return nil, err
	}
	c := &client{name: cfg.Name, breaker: newBreaker(cfg.Name)}
	reconnect := backoff.DefaultConfig
	reconnect.BaseDelay, reconnect.MaxDelay = 100*time.Millisecond, maxReconnect
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingEvery, Timeout: pingTimeout, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
		grpc.WithNoProxy(), // services are neighbours; a proxy for the internet is not in between
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
			return !strings.HasPrefix(info.FullMethodName, "/grpc.health.v1.Health/")
		}))),
		// Outermost first: the breaker counts calls, each with its retries, and sees statuses before they become problems.
		grpc.WithChainUnaryInterceptor(c.problemUnary, c.breakerUnary),
		grpc.WithChainStreamInterceptor(c.stream),
	}
	if cfg.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer{token: cfg.Token, secure: cfg.secure()}))
	}
	conn, err := grpc.NewClient(cfg.Target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s at %s: %w", cfg.Name, cfg.Target, err)
	}
	return conn, nil
}

// secure reports whether TLS is spoken.
func (c Config) secure() bool {
	return !c.Insecure && (c.CACert != "" || !loopback(c.Target))
}

func (c Config) credentials() (credentials.TransportCredentials, error) {
	if !c.secure() {
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read the CA certificate: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(c.CACert + " holds no PEM certificate")
		}
	}
	return credentials.NewTLS(config), nil
}

func loopback(target string) bool {
	if i := strings.LastIndex(target, "/"); i >= 0 { // scheme://authority/endpoint
		if strings.HasPrefix(target, "unix:") {
			return true
		}
		target = target[i+1:]
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
