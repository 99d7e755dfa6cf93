package fake

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// RoundTrip is a client of the listeners: it sends the request to the target whose turn it is at the listener with the
// address of the request's URL, and counts it in flight until the response's body is closed. Nothing listens; use it
// as the transport of an http.Client.
func (f *Fake) RoundTrip(r *http.Request) (*http.Response, error) {
	s, t, reason := f.choose(r.URL.Host)
	if s == nil {
		return nil, fmt.Errorf("dial %s: connection refused", r.URL.Host)
	}
	if reason != "" {
		return &http.Response{
			Status: "503 Service Unavailable", StatusCode: http.StatusServiceUnavailable, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, Body: io.NopCloser(strings.NewReader(reason)), Request: r,
		}, nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	f.mu.Lock()
	cut := s.cut(t.ID)
	f.mu.Unlock()
	go func() {
		select {
		case <-cut:
			cancel()
		case <-ctx.Done():
		}
	}()
	out := r.Clone(ctx)
	out.URL.Host = t.Address
	res, err := http.DefaultTransport.RoundTrip(out)
	end := func() {
		cancel()
		f.mu.Lock()
		defer f.mu.Unlock()
		s.busy[t.ID]--
		f.publish(s)
	}
	if err != nil {
		end()
		return nil, err
	}
	res.Body = &body{ReadCloser: res.Body, end: end}
	return res, nil
}

// choose counts a request in at the target whose turn it is.
func (f *Fake) choose(address string) (*service, traffic.Target, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.services {
		i := slices.IndexFunc(s.routes.Listeners, func(l traffic.Listener) bool { return l.Address == address })
		if !s.inForce || i < 0 {
			continue
		}
		turn := s.turns[address]
		s.turns[address]++
		name := groupOf(s.routes.Listeners[i].Forward, turn)
		var open []traffic.Target
		for _, g := range s.routes.TargetGroups {
			if g.Name == name {
				open = slices.DeleteFunc(slices.Clone(g.Targets), func(t traffic.Target) bool { return t.Draining })
			}
		}
		if len(open) == 0 {
			return s, traffic.Target{}, fmt.Sprintf("target group %q has no target", name)
		}
		t := open[turn%uint64(len(open))]
		s.busy[t.ID]++
		return s, t, ""
	}
	return nil, traffic.Target{}, ""
}

// groupOf is exact over every 1000 turns: 633 is coprime to 1000.
func groupOf(forward []traffic.WeightedTargetGroup, turn uint64) string {
	slot := int(turn % traffic.FullWeight * 633 % traffic.FullWeight)
	for _, w := range forward {
		if slot -= w.Weight; slot < 0 {
			return w.TargetGroup
		}
	}
	return ""
}

type body struct {
	io.ReadCloser
	end func()
}

// Close ends the request.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	if b.end != nil {
		b.end()
		b.end = nil
	}
	return err
}
