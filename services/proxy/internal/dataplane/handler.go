package dataplane

import (
	"errors"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

// maxTries is how many targets of its group a request goes to while connections cannot be made.
const maxTries = 3

// maxLooks bounds how often a request looks into a table whose targets just began to refuse.
const maxLooks = 100

// ServeHTTP forwards the request to a target of the listener's table.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodConnect: // as an Application Load Balancer does
		answer(w, r, http.StatusBadRequest, "CONNECT is not supported")
		return
	case http.MethodTrace:
		answer(w, r, http.StatusMethodNotAllowed, "TRACE is not supported")
		return
	}
	f := forwarding{listener: l, w: w, r: r, head: h1.Head{ForwardedProto: "http", ForwardedPort: l.port}}
	f.head.ForwardedFor, _, _ = net.SplitHostPort(r.RemoteAddr)
	f.run(l.turn.Add(1) - 1)
	if f.after != nil {
		f.after()
	}
}

// forwarding is one request on its way through.
type forwarding struct {
	listener *listener
	w        http.ResponseWriter
	r        *http.Request
	head     h1.Head
	tried    [maxTries]*target
	failed   error  // of the last try
	after    func() // what is left to do when the target has been released
}

// run sends the request to targets of the group whose share request number n is in, until one can be reached.
func (f *forwarding) run(n uint64) {
	for tries := 0; ; tries++ {
		p, t := f.acquire(n, tries)
		if t == nil {
			p.group.stats.Failed()
			if tries > 0 {
				f.unreachable(f.tried[tries-1])
				return
			}
			tbl := f.listener.table.Load()
			answer(f.w, f.r, http.StatusServiceUnavailable, p.empty()+" (service "+tbl.service+", listener "+tbl.listener+")")
			return
		}
		if tries == 0 {
			p.group.stats.Request()
		}
		f.tried[tries] = t
		if f.failed = f.try(p, t); f.failed == nil {
			return
		}
		t.unreachable()
		p.group.stats.ConnectFailed()
		if tries == maxTries-1 {
			p.group.stats.Failed()
			f.unreachable(t)
			return
		}
	}
}

// unreachable answers a request for which no connection could be made.
func (f *forwarding) unreachable(last *target) {
	status, reason := statusOf(f.failed, last)
	answer(f.w, f.r, status, reason)
}

// acquire returns the group of request number n and a target of it that counted the request in; nil for no target. A
// target that began to refuse after it was chosen is no longer in the table, so the next look finds another.
func (f *forwarding) acquire(n uint64, tries int) (*pool, *target) {
	var p *pool
	for range maxLooks {
		tbl := f.listener.table.Load()
		p = tbl.groups[tbl.split.At(n)]
		t, ok := p.choose(f.tried[:tries])
		if !ok {
			break
		}
		if t.acquire() {
			return p, t
		}
	}
	return p, nil
}

// try sends the request to the target, which it releases. The error is a *h1.DialError: anything else is answered here.
func (f *forwarding) try(p *pool, t *target) error {
	defer t.release()
	x := &exchange{}
	if f.r.ProtoAtLeast(1, 1) {
		x.call.Informational = f.informational
	}
	f.head.Upgrade = ""
	if p.http1 {
		f.head.Upgrade = upgradeOf(f.r)
	}
	if f.r.ProtoMajor == 1 && f.r.ContentLength != 0 {
		// A target may answer before it has the whole body; without this the server would read the body first.
		_ = http.NewResponseController(f.w).EnableFullDuplex()
	}
	r := t.upstream.begin(f.r, x)
	if x.cancel != nil {
		defer x.cancel()
	}
	t.enlist(x)
	defer t.delist(x)
	start := time.Now()
	res, err := t.upstream.do(r, f.head, x) //nolint:bodyclose // respond and upgrade close it
	if err != nil {
		return f.fail(p, t, x, start, err)
	}
	p.group.stats.Answered(res.StatusCode, time.Since(start))
	t.reachable()
	if res.StatusCode == http.StatusSwitchingProtocols {
		f.upgrade(x, res)
		return nil
	}
	f.respond(t, x, start, res)
	return nil
}

// fail answers for a target that did not, or returns a dial error for the next try.
func (f *forwarding) fail(p *pool, t *target, x *exchange, start time.Time, err error) error {
	if _, ok := errors.AsType[*h1.DialError](err); ok {
		return err
	}
	if f.r.Context().Err() != nil && !x.wasCut.Load() {
		panic(http.ErrAbortHandler) // the client has gone: there is nobody to answer
	}
	status, reason := statusOf(err, t)
	if status >= http.StatusInternalServerError {
		p.group.stats.Failed()
	}
	if isGRPC(f.r) && !x.wasCut.Load() {
		grpcAnswer(f.w, grpcCode(err, f.r, start), reason)
		return nil
	}
	f.listener.log.Debug("a request failed", "target", t.id, "status", status, "error", err)
	answer(f.w, f.r, status, reason)
	return nil
}

// informational sends a 1xx response on (RFC 9110 section 15.2: a proxy must).
func (f *forwarding) informational(status int, header http.Header) {
	h := f.w.Header()
	maps.Copy(h, header)
	f.w.WriteHeader(status)
	clear(h)
}

// upgradeOf returns the protocol that the request wants to switch to, or "". HTTP/2 by upgrade is not passed on: who
// wants it has prior knowledge, and behind it requests would bypass the routes (h2c smuggling).
func upgradeOf(r *http.Request) string {
	upgrade := r.Header.Get("Upgrade")
	if r.ProtoMajor != 1 || upgrade == "" || !hasUpgradeToken(r.Header["Connection"]) || strings.EqualFold(upgrade, "h2c") {
		return ""
	}
	return upgrade
}

func hasUpgradeToken(lines []string) bool {
	for _, line := range lines {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}
