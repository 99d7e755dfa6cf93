package edge

import (
	"context"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc/metadata"
)

// Caller is the metadata whose last value is the address that a call over HTTP came from, host:port. Those before it are what
// the caller said of the hops before.
const Caller = "x-forwarded-for"

// private are headers of HTTP and of the protocols themselves: they say nothing to a method.
func private(name string) bool {
	for _, prefix := range []string{"connect-", "grpc-", "content-", "accept", "sec-", "access-control-", "proxy-", "x-grpc-web"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "connection", "host", "keep-alive", "origin", "referer", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "x-user-agent", "cookie":
		return true
	}
	return false
}

// outgoing is the context of a call with the client's headers as its metadata. A header that metadata cannot hold, such as a
// name in UTF-8 that some proxy adds, is left out.
func outgoing(ctx context.Context, header http.Header, from connect.Peer) context.Context {
	md := metadata.MD{}
	for name, values := range header {
		name = strings.ToLower(name)
		if private(name) || strings.ContainsFunc(name, noKey) {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				decoded, err := connect.DecodeBinaryHeader(value)
				if err != nil {
					continue
				}
				value = string(decoded)
			} else if strings.ContainsFunc(value, noText) {
				continue
			}
			md.Append(name, value)
		}
	}
	md.Append(Caller, from.Addr)
	return metadata.NewOutgoingContext(ctx, md)
}

// noKey and noText tell what metadata may not hold: gRPC refuses the call then.
func noKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
}

func noText(r rune) bool { return r < ' ' || r > '~' }

// toHTTP copies what the method said beside its answer.
func toHTTP(to http.Header, md metadata.MD) {
	for name, values := range md {
		if private(name) || strings.HasPrefix(name, ":") {
			continue
		}
		for _, value := range values {
			if strings.HasSuffix(name, "-bin") {
				value = connect.EncodeBinaryHeader([]byte(value))
			}
			to.Add(name, value)
		}
	}
}
