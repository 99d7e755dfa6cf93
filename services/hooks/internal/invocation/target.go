package invocation

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// TargetKind is how a handler is called.
type TargetKind string

// The kinds of targets.
const (
	GRPC    TargetKind = "GRPC"
	Webhook TargetKind = "WEBHOOK"
	Lambda  TargetKind = "LAMBDA"
	Exec    TargetKind = "EXEC"
)

// TargetKinds lists every kind of target.
func TargetKinds() []TargetKind { return []TargetKind{GRPC, Webhook, Lambda, Exec} }

// Target is where a handler is.
type Target struct {
	Kind      TargetKind
	Address   string   // host:port of a gRPC handler, URL of a webhook, name or ARN of a Lambda function, path of a command
	TLS       bool     // of a gRPC handler; a webhook's URL says it
	Secrets   Secrets  // that calls of a webhook are signed with
	Qualifier string   // version or alias of a Lambda function
	Args      []string // of a command
}

// Endpoint names what stands or falls together: the circuit breaker of one handler must not stop another, and hooks that
// lead to one handler share it. It is shown to people, so it has no query: that may hold a secret.
func (t Target) Endpoint() string {
	address, _, _ := strings.Cut(t.Address, "?")
	if t.Qualifier != "" {
		address += ":" + t.Qualifier
	}
	return string(t.Kind) + " " + address
}

func (t Target) check(bad *InvalidError, rules Rules) {
	switch t.Kind {
	case GRPC:
		bad.check(validHostPort(t.Address), "grpc.address", "must be host:port, is %q", t.Address)
	case Webhook:
		rule := WebhookRule(t.Address, rules.AllowHTTP)
		bad.check(rule == "", "webhook.url", "%s", rule)
		t.Secrets.check(bad)
	case Lambda:
		bad.check(functionName.MatchString(t.Address), "lambda.function", "must be a function's name, partial ARN or ARN, is %q", t.Address)
		bad.check(t.Qualifier == "" || qualifier.MatchString(t.Qualifier), "lambda.qualifier",
			"must be a version or an alias, 1 to 128 letters, digits, $, - or _, is %q", t.Qualifier)
	case Exec:
		rule := CommandRule(t.Address, rules.Commands)
		bad.check(rule == "", "exec.command", "%s", rule)
		checkArgs(bad, t.Args)
	default:
		bad.check(false, "target", "must be set: grpc, webhook, lambda or exec")
	}
}

// As in AWS's API reference of Lambda's Invoke. A qualifier in an ARN goes with the name.
var (
	functionName = regexp.MustCompile(
		`^(arn:aws[a-zA-Z-]*:lambda:)?([a-z0-9-]{1,32}:)?([0-9]{12}:)?(function:)?[a-zA-Z0-9-_]{1,140}(:(\$LATEST|[a-zA-Z0-9-_]{1,128}))?$`)
	qualifier = regexp.MustCompile(`^[a-zA-Z0-9$_-]{1,128}$`)
)

const (
	maxCommand = 1024
	maxArgs    = 64
	maxArg     = 4096
)

// CommandRule returns the rule that the program of a command breaks, or "". It looks at names only: where links lead is
// known when the command is run.
func CommandRule(command string, allowed []string) string {
	switch {
	case len(command) > maxCommand || strings.IndexFunc(command, unicode.IsControl) >= 0:
		return fmt.Sprintf("must have at most %d bytes and no control characters", maxCommand)
	case !path.IsAbs(command) || path.Clean(command) != command:
		return "must be an absolute path without . and .., is " + strconv.Quote(command)
	case len(allowed) == 0:
		return "is not allowed: the operator allows no commands (setting -allowed-commands)"
	}
	for _, entry := range allowed {
		if command == entry || strings.HasPrefix(command, strings.TrimSuffix(entry, "/")+"/") {
			return ""
		}
	}
	return "is not among the commands that the operator allows (setting -allowed-commands): " + strconv.Quote(command)
}

func checkArgs(bad *InvalidError, args []string) {
	bad.check(len(args) <= maxArgs, "exec.args", "must be at most %d, are %d", maxArgs, len(args))
	for n, arg := range args {
		bad.check(len(arg) <= maxArg && !strings.Contains(arg, "\x00"), fmt.Sprintf("exec.args[%d]", n), "must have at most %d bytes and no NUL", maxArg)
	}
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
