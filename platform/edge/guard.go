package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// What a page must be allowed to send, and to read of an answer, to speak Connect and gRPC-Web.
const (
	allowedHeaders = "Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Type, Grpc-Timeout, X-Grpc-Web, X-User-Agent"
	exposedHeaders = "Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin, Slipway-Resume-Token"
	preflightAge   = "7200" // seconds, the most that browsers take
)

// guard answers preflights and refuses what pages send whose origin is not allowed. It holds without a token, too: else any page
// that a person visits could use the services that listen on that person's loopback.
func guard(origins []string, next http.Handler) http.Handler {
	every := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin")
		if !every && !slices.ContainsFunc(origins, func(o string) bool { return strings.EqualFold(strings.TrimSuffix(o, "/"), origin) }) {
			http.Error(w, fmt.Sprintf("Pages of %q may not call this service: allow them with -allowed-origins (SLIPWAY_ALLOWED_ORIGINS).", origin),
				http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", exposedHeaders)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
			w.Header().Set("Access-Control-Allow-Headers", allowedHeaders)
			w.Header().Set("Access-Control-Max-Age", preflightAge)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}
