package invocation

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Hook is the definition of a handler that deployments call at their lifecycle stages.
type Hook struct {
	Name        string
	Target      Target
	CallTimeout time.Duration // of one call
	MaxAttempts int           // calls in a row without an answer that fail the invocation
}

// TargetKind is how a handler is called.
type TargetKind string

// The kinds of targets.
const (
	GRPC    TargetKind = "GRPC"
	Webhook TargetKind = "WEBHOOK"
)

// TargetKinds lists every kind of target.
func TargetKinds() []TargetKind { return []TargetKind{GRPC, Webhook} }

// Target is where a handler is.
type Target struct {
	Kind    TargetKind
	Address string // host:port of a gRPC handler, URL of a webhook
	TLS     bool   // of a gRPC handler; a webhook's URL says it
}

// Endpoint names what stands or falls together: the circuit breaker of one handler must not stop another. It is shown
// to people, so it has no query: that may hold a secret.
func (t Target) Endpoint() string {
	address, _, _ := strings.Cut(t.Address, "?")
	return string(t.Kind) + " " + address
}

// Defaults and bounds of a hook's definition.
const (
	DefaultCallTimeout = 30 * time.Second
	MinCallTimeout     = 100 * time.Millisecond
	MaxCallTimeout     = 15 * time.Minute // AWS Lambda's bound, and so that of one call of an ECS hook
	DefaultMaxAttempts = 5
	MaxMaxAttempts     = 100
)

var hookName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,126}$`)

// NewHook fills in defaults and checks a definition. allowHTTP lets webhooks use http:// to any host, not only to
// loopback addresses. The error is an *InvalidError that names every field.
func NewHook(h Hook, allowHTTP bool) (Hook, error) {
	if h.CallTimeout == 0 {
		h.CallTimeout = DefaultCallTimeout
	}
	if h.MaxAttempts == 0 {
		h.MaxAttempts = DefaultMaxAttempts
	}
	var bad InvalidError
	bad.check(hookName.MatchString(h.Name), "name", "must have 1 to 127 letters, digits, - or _ and begin with a letter or digit")
	bad.check(h.CallTimeout >= MinCallTimeout && h.CallTimeout <= MaxCallTimeout, "call_timeout", "must be from 100ms to 15m, is %s", h.CallTimeout)
	bad.check(h.MaxAttempts >= 1 && h.MaxAttempts <= MaxMaxAttempts, "max_attempts", "must be from 1 to %d, is %d", MaxMaxAttempts, h.MaxAttempts)
	switch h.Target.Kind {
	case GRPC:
		bad.check(validHostPort(h.Target.Address), "grpc.address", "must be host:port, is %q", h.Target.Address)
	case Webhook:
		rule := webhookRule(h.Target.Address, allowHTTP)
		bad.check(rule == "", "webhook.url", "%s", rule)
	default:
		bad.check(false, "target", "must be set: grpc or webhook")
	}
	return h, bad.orNil()
}

func validHostPort(address string) bool {
	at := strings.LastIndexByte(address, ':')
	if at <= 0 || strings.ContainsAny(address, "/ \t\r\n") {
		return false
	}
	host := address[:at]
	if strings.Contains(host, ":") && !(strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]")) {
		return false
	}
	port, err := strconv.ParseUint(address[at+1:], 10, 16)
	return err == nil && port > 0
}

// webhookRule returns the rule that a webhook's URL breaks, or "".
func webhookRule(address string, allowHTTP bool) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "must be an https:// URL with a host"
	case u.User != nil:
		return "must not hold a user or a password"
	case u.Fragment != "":
		return "must not have a fragment"
	case u.Scheme == "https":
		return ""
	case u.Scheme != "http":
		return "must begin with https://"
	case !allowHTTP && !Loopback(u.Hostname()):
		return "must begin with https:// unless its host is a loopback address"
	default:
		return ""
	}
}

// Loopback reports whether a host, as written, is this machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
