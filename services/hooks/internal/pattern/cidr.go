package pattern

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// cidr is {"cidr": "10.0.0.0/8"}. The service takes no mask of the whole address (/32, /128), and its message for what is no string
// speaks of prefix.
func cidr(v *value) (test, error) {
	if v.kind != text {
		return test{}, invalid("prefix match pattern must be a string")
	}
	address, mask, found := strings.Cut(v.text, "/")
	if !found || mask == "" || strings.Contains(mask, "/") {
		return test{}, invalid("Malformed CIDR, one '/' required")
	}
	bits, err := strconv.Atoi(mask)
	if err != nil {
		return test{}, invalid("Malformed CIDR, mask bits must be an integer")
	}
	if bits < 0 {
		return test{}, invalid("Malformed CIDR, mask bits must not be negative")
	}
	ip, ok := parseIP(address)
	switch {
	case !ok && looksLikeIP(address):
		return test{}, invalid("Invalid IP address: %s", address)
	case !ok:
		return test{}, invalid("Nonstandard IP address: %s", address)
	case ip.Is4() && bits > 31:
		return test{}, invalid("IPv4 mask bits must be < 32")
	case ip.Is6() && bits > 127:
		return test{}, invalid("IPv6 mask bits must be < 128")
	}
	network := netip.PrefixFrom(ip, bits).Masked()
	return ofString(func(s string) bool {
		address, ok := parseIP(s)
		return ok && network.Contains(address)
	}), nil
}

// parseIP reads an address. One that mixes both notations is none, as in EventBridge.
func parseIP(s string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(s)
	mixed := strings.Contains(s, ":") && strings.Contains(s, ".")
	return ip, err == nil && ip.Zone() == "" && !mixed
}

// looksLikeIP tells four numbers with dots, and hexadecimal digits with colons.
func looksLikeIP(s string) bool {
	if strings.Contains(s, ":") {
		return strings.Trim(s, "0123456789abcdefABCDEF:") == ""
	}
	parts := strings.Split(s, ".")
	return len(parts) == 4 && !slices.Contains(parts, "") && strings.Trim(s, "0123456789.") == ""
}
