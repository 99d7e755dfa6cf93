package dataplane

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"

	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

// answer is the proxy's own response where there is none of a target: the status and why. A gRPC client gets it as gRPC
// says things.
func answer(w http.ResponseWriter, r *http.Request, status int, reason string) {
	if isGRPC(r) {
		grpcAnswer(w, codes.Unavailable, reason) // what a client would make of 502, 503 and 504
		return
	}
	text := strconv.Itoa(status) + " " + http.StatusText(status) + ": " + reason
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// statusOf is the status and the reason for a request that failed at a target, in the cases and with the codes of an
// Application Load Balancer (its troubleshooting page): 502 when the target refused or broke off, 504 when it was
// silent.
func statusOf(err error, t *target) (int, string) {
	var dial *h1.DialError
	var body *h1.BodyError
	var netErr net.Error
	switch {
	case errors.Is(err, h1.ErrRequest):
		return http.StatusBadRequest, err.Error()
	case errors.As(err, &body):
		return http.StatusBadRequest, "the request's body broke off"
	case errors.As(err, &dial) && errors.As(dial.Err, &netErr) && netErr.Timeout():
		return http.StatusGatewayTimeout, fmt.Sprintf("no connection to target %s in time", t.id)
	case errors.As(err, &dial):
		return http.StatusBadGateway, fmt.Sprintf("target %s refuses connections", t.id)
	case errors.Is(err, h1.ErrHeaderTimeout):
		return http.StatusGatewayTimeout, fmt.Sprintf("target %s did not answer in time", t.id)
	case errors.Is(err, h1.ErrAborted):
		return http.StatusBadGateway, fmt.Sprintf("the drain time of target %s ended before it answered", t.id)
	}
	return http.StatusBadGateway, fmt.Sprintf("target %s broke the connection off or answered what is no HTTP", t.id)
}
