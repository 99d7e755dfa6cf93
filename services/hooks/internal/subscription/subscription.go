package subscription

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Format is what an event looks like.
type Format string

// The formats.
const (
	EventBridgeFormat Format = "EVENTBRIDGE"
	CloudEventsFormat Format = "CLOUDEVENTS"
)

// TargetKind is how events are sent.
type TargetKind string

// The kinds of targets.
const (
	HTTPS       TargetKind = "HTTPS"
	GRPCStream  TargetKind = "GRPC_STREAM"
	SNS         TargetKind = "SNS"
	EventBridge TargetKind = "EVENTBRIDGE"
)

// TargetKinds lists every kind of target.
func TargetKinds() []TargetKind { return []TargetKind{HTTPS, GRPCStream, SNS, EventBridge} }

// Target is where events go.
type Target struct {
	Kind       TargetKind
	Address    string // URL, topic's ARN, or bus; "" for a stream
	Region     string // of AWS; "" for that of the address or the environment
	Endpoint   string // of AWS, when it is another than AWS's
	KeepSource bool   // of an event bus: sources that begin with "aws." are kept
	Secrets    Secrets
}

// Secrets sign what is sent. They are never shown, also not by fmt.
type Secrets []string

// String hides the secrets.
func (s Secrets) String() string { return fmt.Sprintf("[%d secrets]", len(s)) }

// GoString hides the secrets.
func (s Secrets) GoString() string { return s.String() }

// Subscription sends the events that match a pattern to a target.
type Subscription struct {
	Name           string
	Pattern        string // "" matches every event
	Format         Format
	Target         Target
	MaximumAge     time.Duration
	MaximumRetries int
	CallTimeout    time.Duration
}

// The bounds that EventBridge has for a rule and its targets, and those of a call.
const (
	MinimumAge         = 60 * time.Second
	MaximumAge         = 24 * time.Hour
	MaximumRetries     = 185
	MaximumPattern     = 4096
	DefaultCallTimeout = 10 * time.Second
	MinCallTimeout     = 100 * time.Millisecond
	MaxCallTimeout     = time.Minute
)

var nameRule = regexp.MustCompile(`^[.\-_A-Za-z0-9]{1,64}$`)

// Violation is a field that breaks a rule.
type Violation struct{ Field, Rule string }

// New fills in defaults and checks a definition; nothing is wrong with one that comes without violations. allowHTTP
// lets http:// be used to any host, not only to loopback addresses. The pattern is not looked at: see Filter.
func New(s Subscription, allowHTTP bool) (Subscription, []Violation) {
	if s.Format == "" {
		s.Format = EventBridgeFormat
	}
	if s.MaximumAge == 0 {
		s.MaximumAge = MaximumAge
	}
	if s.CallTimeout == 0 {
		s.CallTimeout = DefaultCallTimeout
	}
	var c checks
	c.check(nameRule.MatchString(s.Name), "name", "must have 1 to 64 letters, digits, ., - or _")
	c.check(s.MaximumAge >= MinimumAge && s.MaximumAge <= MaximumAge, "maximum_event_age", "must be from 1m to 24h, is %s", s.MaximumAge)
	c.check(s.MaximumRetries >= 0 && s.MaximumRetries <= MaximumRetries, "maximum_retry_attempts", "must be from 0 to %d, is %d",
		MaximumRetries, s.MaximumRetries)
	c.check(s.CallTimeout >= MinCallTimeout && s.CallTimeout <= MaxCallTimeout, "call_timeout", "must be from 100ms to 1m, is %s", s.CallTimeout)
	switch s.Target.Kind {
	case HTTPS:
		c.https(s.Target, allowHTTP)
	case GRPCStream:
	case SNS:
		c.sns(&s.Target, allowHTTP)
	case EventBridge:
		c.eventBridge(&s.Target, allowHTTP)
		c.check(s.Format == EventBridgeFormat, "format", "must not be CLOUDEVENTS: an event bus has EventBridge's format")
	default:
		c.check(false, "target", "must be set: https, grpc_stream, sns or event_bridge")
	}
	return s, c.broken
}

type checks struct{ broken []Violation }

func (c *checks) check(ok bool, field, format string, args ...any) {
	if !ok {
		c.broken = append(c.broken, Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
	}
}

func (c *checks) https(t Target, allowHTTP bool) {
	rule := invocation.WebhookRule(t.Address, allowHTTP)
	c.check(rule == "", "https.url", "%s", rule)
	for n, secret := range t.Secrets {
		rule := secretRule(secret)
		c.check(rule == "", fmt.Sprintf("https.secrets[%d]", n), "%s", rule)
	}
}

// secretRule returns the rule of Standard Webhooks that a secret breaks, or "". It never shows the secret.
func secretRule(secret string) string {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return `must begin with "whsec_"`
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return `must be "whsec_" and 24 to 64 bytes in base64`
	}
	return ""
}

var topicRule = regexp.MustCompile(`^arn:[a-z0-9-]+:sns:([a-z0-9-]+):[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$`)

func (c *checks) sns(t *Target, allowHTTP bool) {
	parts := topicRule.FindStringSubmatch(t.Address)
	c.check(parts != nil, "sns.topic_arn", "must be the ARN of an SNS topic, is %q", t.Address)
	if parts != nil && t.Region == "" {
		t.Region = parts[1]
	}
	c.endpoint("sns", t.Endpoint, allowHTTP)
}

var busRule = regexp.MustCompile(`^(?:arn:[a-z0-9-]+:events:([a-z0-9-]+):[0-9]{12}:event-bus/)?[/.\-_A-Za-z0-9]{1,256}$`)

func (c *checks) eventBridge(t *Target, allowHTTP bool) {
	if t.Address == "" {
		t.Address = "default"
	}
	parts := busRule.FindStringSubmatch(t.Address)
	c.check(parts != nil, "event_bridge.event_bus_name", "must be the name or the ARN of an event bus, is %q", t.Address)
	if parts != nil && t.Region == "" {
		t.Region = parts[1]
	}
	c.endpoint("event_bridge", t.Endpoint, allowHTTP)
}

func (c *checks) endpoint(target, endpoint string, allowHTTP bool) {
	if endpoint == "" {
		return
	}
	rule := invocation.WebhookRule(endpoint, allowHTTP)
	c.check(rule == "", target+".endpoint_url", "%s", rule)
}

// EndpointName names what stands or falls together: the circuit breaker of one must not stop another. It is shown to
// people, so it has no query: that may hold a secret.
func (t Target) EndpointName() string {
	address, _, _ := strings.Cut(t.Address, "?")
	if t.Endpoint != "" {
		address += " at " + t.Endpoint
	}
	return string(t.Kind) + " " + address
}
