package invocation

import (
	"net/netip"
	"net/url"
)

// WebhookRule returns the rule that an outgoing URL breaks, or "": it is https://, or http:// to a loopback address
// unless allowHTTP, with a host and without user, password and fragment.
func WebhookRule(address string, allowHTTP bool) string {
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
