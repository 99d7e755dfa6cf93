package dataplane

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// grpcAnswer ends a gRPC call with a status: a response whose header is its trailers.
func grpcAnswer(w http.ResponseWriter, code codes.Code, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	grpcStatus(h, "", code, message)
	w.WriteHeader(http.StatusOK)
}

func grpcStatus(h http.Header, prefix string, code codes.Code, message string) {
	h[prefix+"Grpc-Status"] = []string{strconv.Itoa(int(code))}
	h[prefix+"Grpc-Message"] = []string{url.PathEscape(message)}
}

// grpcCode is the status of a call, begun then, that its target broke off: what the client would make of it without a
// proxy in between (gRPC over HTTP2, section "Errors"). A lost connection is UNAVAILABLE.
func grpcCode(err error, r *http.Request, begun time.Time) codes.Code {
	stream, ok := errors.AsType[http2.StreamError](err)
	if !ok {
		return codes.Unavailable
	}
	switch stream.Code {
	case http2.ErrCodeRefusedStream:
		return codes.Unavailable
	case http2.ErrCodeCancel:
		// A target cancels a call whose deadline has passed, maybe a moment before its client notices.
		if timeout, ok := grpcTimeout(r.Header.Get("Grpc-Timeout")); ok && time.Since(begun) >= timeout {
			return codes.DeadlineExceeded
		}
		return codes.Canceled
	case http2.ErrCodeEnhanceYourCalm:
		return codes.ResourceExhausted
	case http2.ErrCodeInadequateSecurity:
		return codes.PermissionDenied
	}
	return codes.Internal
}

// grpcTimeout reads a grpc-timeout, e.g. "50m" for 50 ms.
func grpcTimeout(text string) (time.Duration, bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	units := map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.Atoi(text[:len(text)-1])
	return time.Duration(n) * unit, ok && err == nil && n >= 0
}
