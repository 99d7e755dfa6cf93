package grpcserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
)

// client is what a handshake tells of a connection.
type client int

const (
	clientBroken  client = iota // the handshake failed
	clientUnknown               // it offered no protocol: its first bytes tell
	clientGRPC                  // it offered h2 and nothing else, as gRPC clients do
	clientHTTP                  // it offered http/1.1 too, as browsers do, even if it got h2
)

// tlsConfig says which protocols the port speaks over TLS.
func tlsConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if o, ok := hello.Conn.(*offerConn); ok {
				o.http1 = slices.Contains(hello.SupportedProtos, "http/1.1")
			}
			return nil, nil //nolint:nilnil // that is how it says: the configuration as it is
		},
	}
}

// offerConn remembers whether its client offered HTTP/1.1.
type offerConn struct {
	net.Conn
	http1 bool
}

// shakeHands makes conn a TLS connection.
func shakeHands(conn net.Conn, config *tls.Config) (*tls.Conn, client) {
	offer := &offerConn{Conn: conn}
	secure := tls.Server(offer, config)
	ctx, cancel := context.WithTimeout(context.Background(), firstBytes)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && e.Conn != nil && plainHTTP(e.RecordHeader) {
			_, _ = io.WriteString(conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks TLS: use https://.\n")
		}
		return nil, clientBroken
	}
	switch protocol := secure.ConnectionState().NegotiatedProtocol; {
	case protocol == "":
		return secure, clientUnknown
	case protocol == "h2" && !offer.http1:
		return secure, clientGRPC
	}
	return secure, clientHTTP
}

// plainHTTP reports whether a connection began with a request that is not encrypted.
func plainHTTP(begin [5]byte) bool {
	return slices.Contains([]string{"GET /", "POST ", "PUT /", "HEAD ", "OPTIO", "DELET"}, string(begin[:]))
}
