package h1

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Head is what the proxy adds to a request's head.
type Head struct {
	// ForwardedFor is the client's address; it is appended to X-Forwarded-For.
	ForwardedFor string
	// ForwardedProto and ForwardedPort replace X-Forwarded-Proto and X-Forwarded-Port.
	ForwardedProto string
	ForwardedPort  string
	// Upgrade is the protocol to switch to; empty for none.
	Upgrade string
}

// check refuses what would make another request of this one. net/http's server lets through spaces in the method and
// the path of an HTTP/2 request.
func (h Head) check(r *http.Request) error {
	if r.Method == "" || strings.ContainsFunc(r.Method, notMethod) {
		return fmt.Errorf("%w: method %q", ErrRequest, r.Method)
	}
	if t := target(r); t == "" || strings.ContainsFunc(t, notTarget) {
		return fmt.Errorf("%w: path %q", ErrRequest, t)
	}
	if breaksLine(r.Host) {
		return fmt.Errorf("%w: host %q", ErrRequest, r.Host)
	}
	for name, values := range r.Header {
		if slices.ContainsFunc(values, breaksLine) {
			return fmt.Errorf("%w: header %q", ErrRequest, name)
		}
	}
	return nil
}

func notMethod(c rune) bool {
	return c < '!' || c > '~' || strings.ContainsRune("()<>@,;:\\\"/[]?={}", c)
}

func notTarget(c rune) bool { return c <= ' ' || c == 0x7f }

func breaksLine(s string) bool {
	return strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0
}

// target is the request's target in origin form, byte for byte as the client sent it where that is possible.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// write writes the head of the request, without its last empty line for the body's framing to follow.
func (h Head) write(w *bufio.Writer, r *http.Request) {
	writeAll(w, r.Method, " ", target(r), " HTTP/1.1\r\nHost: ", r.Host, "\r\n")
	listed := connectionTokens(r.Header)
	prior := ""
	for name, values := range r.Header {
		switch {
		case name == "X-Forwarded-For":
			if !slices.Contains(listed, name) {
				prior = strings.Join(values, ", ")
			}
		case replaced(name) || IsHopByHop(name) || slices.Contains(listed, name):
		default:
			for _, value := range values {
				writeAll(w, name, ": ", value, "\r\n")
			}
		}
	}
	if prior != "" {
		prior += ", "
	}
	writeAll(w, "X-Forwarded-For: ", prior, h.ForwardedFor, "\r\nX-Forwarded-Proto: ", h.ForwardedProto,
		"\r\nX-Forwarded-Port: ", h.ForwardedPort, "\r\n")
	if hasToken(r.Header["Te"], "trailers") {
		writeAll(w, "Te: trailers\r\n")
	}
	if h.Upgrade != "" {
		writeAll(w, "Connection: Upgrade\r\nUpgrade: ", h.Upgrade, "\r\n")
	}
}

// Header returns a copy of the request's header as it goes to the next hop, for a client that is not this package's.
// The values are shared.
func (h Head) Header(r *http.Request) http.Header {
	out := make(http.Header, len(r.Header)+4)
	listed := connectionTokens(r.Header)
	prior := ""
	for name, values := range r.Header {
		switch {
		case name == "X-Forwarded-For":
			if !slices.Contains(listed, name) {
				prior = strings.Join(values, ", ") + ", "
			}
		case replaced(name) || IsHopByHop(name) || slices.Contains(listed, name):
		default:
			out[name] = values
		}
	}
	out["X-Forwarded-For"] = []string{prior + h.ForwardedFor}
	out["X-Forwarded-Proto"] = []string{h.ForwardedProto}
	out["X-Forwarded-Port"] = []string{h.ForwardedPort}
	if hasToken(r.Header["Te"], "trailers") {
		out["Te"] = []string{"trailers"}
	}
	if _, ok := out["User-Agent"]; !ok {
		out["User-Agent"] = nil // else net/http adds its own
	}
	return out
}

// writeFraming writes how the body is delimited and the empty line that ends the head.
func writeFraming(w *bufio.Writer, r *http.Request) {
	switch {
	case !hasBody(r):
		// A request that said it has an empty body says so again; methods that expect a body always do.
		if r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch || len(r.Header["Content-Length"]) > 0 {
			writeAll(w, "Content-Length: 0\r\n")
		}
	case r.ContentLength > 0:
		writeAll(w, "Content-Length: ", strconv.FormatInt(r.ContentLength, 10), "\r\n")
	default:
		writeAll(w, "Transfer-Encoding: chunked\r\n")
		for name := range r.Trailer {
			writeAll(w, "Trailer: ", name, "\r\n")
		}
	}
	writeAll(w, "\r\n")
}

// replaced says whether the head has a line of its own in place of the client's. Framing follows the parsed request:
// a client's Content-Length beside it would be a second opinion.
func replaced(name string) bool {
	switch name {
	case "Host", "Content-Length", "X-Forwarded-Proto", "X-Forwarded-Port":
		return true
	}
	return false
}

// IsHopByHop says whether a header, in canonical form, is for one connection only (RFC 9110 section 7.6.1).
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// connectionTokens returns the headers, in canonical form, that Connection names beside its usual words.
func connectionTokens(h http.Header) []string {
	var tokens []string
	for _, line := range h["Connection"] {
		if strings.EqualFold(line, "keep-alive") || strings.EqualFold(line, "close") {
			continue
		}
		for token := range strings.SplitSeq(line, ",") {
			tokens = append(tokens, http.CanonicalHeaderKey(strings.TrimSpace(token)))
		}
	}
	return tokens
}

// RemoveHopByHop deletes from h what is for one connection only, and what its Connection header names.
func RemoveHopByHop(h http.Header) {
	for _, name := range connectionTokens(h) {
		delete(h, name)
	}
	for name := range h {
		if IsHopByHop(name) {
			delete(h, name)
		}
	}
}

func hasToken(lines []string, want string) bool {
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			token, _, _ = strings.Cut(token, ";")
			if strings.EqualFold(strings.TrimSpace(token), want) {
				return true
			}
		}
	}
	return false
}

// writeAll relies on bufio.Writer keeping its first error, which Flush returns.
func writeAll(w *bufio.Writer, parts ...string) {
	for _, part := range parts {
		_, _ = w.WriteString(part)
	}
}
