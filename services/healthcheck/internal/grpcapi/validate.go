package grpcapi

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// printable checks texts, each after the name of its field.
func printable(fieldsAndTexts ...string) error {
	var broken []problem.Violation
	for i := 0; i+1 < len(fieldsAndTexts); i += 2 {
		if rule := brokenText(fieldsAndTexts[i+1]); rule != "" {
			broken = append(broken, problem.Violation{Field: fieldsAndTexts[i], Rule: rule})
		}
	}
	if len(broken) > 0 {
		return problem.Violated(broken...)
	}
	return nil
}

// brokenText is the rule that a text breaks, or "". The database takes no NUL.
func brokenText(text string) string {
	if strings.ContainsRune(text, 0) {
		return "must not contain the character NUL"
	}
	return ""
}

var hostName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,251}[a-zA-Z0-9])?\.?$`)

// brokenAddress is the rule that a target's address breaks, or "".
func brokenAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not host:port", address)
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return fmt.Sprintf("%q is neither an IP address nor a host name", host)
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 1 || number > 65535 || strconv.Itoa(number) != port {
		return fmt.Sprintf("%q is not a port from 1 to 65535", port)
	}
	return ""
}
