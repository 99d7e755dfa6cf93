package grpcserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Config says where a server listens and who may call it.
type Config struct {
	// Addr is host:port. Port 0 takes a free one.
	Addr string `flag:"listen" env:"SLIPWAY_LISTEN" help:"address to serve gRPC on, host:port"`
	// TLSCert and TLSKey are PEM files; both or none.
	TLSCert string `flag:"tls-cert" env:"SLIPWAY_TLS_CERT" help:"certificate file (PEM) to serve TLS with"`
	TLSKey  string `flag:"tls-key" env:"SLIPWAY_TLS_KEY" help:"key file (PEM) of the certificate"`
	// Token is what callers must send as "authorization: Bearer <token>"; empty asks for none.
	Token string `flag:"token" env:"SLIPWAY_TOKEN" secret:"true" help:"bearer token that callers must send"`
	// Insecure allows an address that other machines reach without TLS and a token.
	Insecure bool `flag:"insecure" env:"SLIPWAY_INSECURE" help:"serve other machines without TLS and token"`
	// AllowedOrigins are the origins whose pages may call over HTTP; "*" is every one, none is no page.
	AllowedOrigins []string `flag:"allowed-origins" env:"SLIPWAY_ALLOWED_ORIGINS" help:"origins whose pages may call, such as https://console.example, by commas; * is every one"`
}

// Validate reports every broken rule at once. An address that other machines can reach needs TLS and a token,
// unless Insecure says otherwise.
func (c Config) Validate() error {
	var broken []problem.Violation
	add := func(field, format string, args ...any) {
		broken = append(broken, problem.Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		add("listen", "must be host:port, e.g. 127.0.0.1:7001, but is %q", c.Addr)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		add("tls_cert", "and tls_key must be set together")
	}
	if err == nil && !c.Insecure && !loopback(host) && (c.TLSCert == "" || c.Token == "") {
		add("listen", "%s can be reached by other machines: set tls_cert, tls_key and token, or insecure, or listen on 127.0.0.1", c.Addr)
	}
	for i, origin := range c.AllowedOrigins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "") {
			add(fmt.Sprintf("allowed_origins[%d]", i), "must be scheme://host[:port] or *, but is %q", origin)
		}
	}
	if len(broken) > 0 {
		return problem.Violated(broken...)
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listen binds the address, with TLS where a certificate is given.
func (c Config) listen() (*split, error) {
	var secure *tls.Config
	if c.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("load the TLS certificate %s: %w", c.TLSCert, err)
		}
		secure = tlsConfig(cert)
	}
	listener, err := listen(c.Addr)
	if err != nil {
		return nil, err
	}
	return newSplit(listener, secure), nil
}

func listen(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program: stop it or choose another address", addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not be listened on by this user: choose a port above 1023", addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return listener, nil
}
