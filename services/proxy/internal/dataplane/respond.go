package dataplane

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

// respond passes the target's response on. A response that breaks off is broken off for the client too: it must not
// look whole. A gRPC call ends with a status instead, so that its client knows whether to try again.
func (f *forwarding) respond(t *target, x *exchange, start time.Time, res *http.Response) {
	defer func() { _ = res.Body.Close() }()
	h1.RemoveHopByHop(res.Header)
	h := f.w.Header()
	maps.Copy(h, res.Header)
	announced := len(res.Trailer)
	for name := range res.Trailer {
		h.Add("Trailer", name)
	}
	if announced > 0 {
		delete(h, "Content-Length") // HTTP/1.1 has trailers behind chunks only
	}
	f.w.WriteHeader(res.StatusCode)
	if res.Body == http.NoBody {
		f.trailers(res, announced)
		return
	}
	buf := f.listener.buffers.get()
	err := f.copy(res, *buf)
	f.listener.buffers.put(buf)
	switch {
	case err == nil:
	case x.wasCut.Load() && isGRPC(f.r):
		grpcStatus(h, http.TrailerPrefix, codes.Unavailable, "the drain time of target "+t.id+" ended")
		return
	case f.r.Context().Err() == nil && isGRPC(f.r):
		grpcStatus(h, http.TrailerPrefix, grpcCode(err, f.r, start), "target "+t.id+" broke the call off")
		return
	default:
		panic(http.ErrAbortHandler)
	}
	f.trailers(res, announced)
}

// copy passes the body on. One whose length the target did not say is a stream: each piece goes on as it comes, and the
// header before the first.
func (f *forwarding) copy(res *http.Response, buf []byte) error {
	stream := res.ContentLength < 0
	flush := func() error { return nil }
	if stream {
		flush = http.NewResponseController(f.w).Flush
		if b, ok := res.Body.(interface{ Buffered() int }); !ok || b.Buffered() == 0 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := f.w.Write(buf[:n]); err != nil {
				return err
			}
			if stream && !errors.Is(err, io.EOF) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// trailers passes on what came behind the body: those that were announced, and others, as gRPC's.
func (f *forwarding) trailers(res *http.Response, announced int) {
	h := f.w.Header()
	prefix := ""
	if len(res.Trailer) != announced {
		prefix = http.TrailerPrefix
	}
	for name, values := range res.Trailer {
		h[prefix+name] = values
	}
}
