package grpcapi

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
)

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
