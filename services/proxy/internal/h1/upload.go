package h1

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// upload sends a request's body while the response is awaited.
type upload struct {
	cn   *conn
	goOn chan struct{} // closed when the target asked for the body
	done chan struct{} // closed when the body was sent or failed; err holds from then on
	err  error

	clientErr atomic.Pointer[BodyError] // set before the connection is closed for it
	asked     bool                      // proceed was called; of the reading goroutine
}

// startUpload sends the head at once. With expects the body waits until the target asks for it or ContinueTimeout has
// passed.
func startUpload(cn *conn, r *http.Request, expects bool) *upload {
	up := &upload{cn: cn, goOn: make(chan struct{}), done: make(chan struct{})}
	// From here on the body counts as read: the goroutine may read it at any time.
	cn.bodyTouched = true
	// Seen as waiting before the goroutine may say otherwise: a short body can be sent before this returns.
	cn.deadline.Lock()
	cn.waiting = true
	if cn.limited {
		_ = cn.nc.SetReadDeadline(time.Time{})
		cn.limited = false
	}
	cn.deadline.Unlock()
	go func() {
		defer close(up.done)
		up.err = up.run(r, expects)
		if bodyErr, ok := errors.AsType[*BodyError](up.err); ok {
			up.clientErr.Store(bodyErr)
			cn.close() // there will be no response to half a request
			return
		}
		up.sent() // also when the target closed: its response may be on its way
	}()
	return up
}

func (up *upload) run(r *http.Request, expects bool) error {
	if err := up.cn.bw.Flush(); err != nil {
		return err
	}
	if expects {
		select {
		case <-up.goOn:
		case <-time.After(up.cn.client.config.ContinueTimeout):
		case <-r.Context().Done():
			return ErrAborted
		}
	}
	if r.ContentLength > 0 {
		if err := copyBody(up.cn.bw, r.Body, r.ContentLength); err != nil {
			return err
		}
		return up.cn.bw.Flush()
	}
	return up.chunked(r)
}

// chunked sends a body of unknown length. Each piece leaves as it comes: the client may wait for an answer to it.
func (up *upload) chunked(r *http.Request) error {
	bw := up.cn.bw
	chunks := httputil.NewChunkedWriter(bw)
	if err := copyFlushing(chunks, r.Body, bw.Flush); err != nil {
		return err
	}
	if err := chunks.Close(); err != nil {
		return err
	}
	for name, values := range r.Trailer { // filled in by now
		for _, value := range values {
			if !breaksLine(value) {
				writeAll(bw, name, ": ", value, "\r\n")
			}
		}
	}
	writeAll(bw, "\r\n")
	return bw.Flush()
}

// sent starts the time for the response's header, unless the header is here already.
func (up *upload) sent() {
	cn := up.cn
	timeout := cn.client.config.ResponseHeaderTimeout
	cn.deadline.Lock()
	defer cn.deadline.Unlock()
	if cn.waiting && timeout > 0 {
		_ = cn.nc.SetReadDeadline(time.Now().Add(timeout))
		cn.limited = true
	}
}

// proceed lets the body go: the target asked for it.
func (up *upload) proceed() {
	if !up.asked {
		up.asked = true
		close(up.goOn)
	}
}

// finished says whether the whole body was sent.
func (up *upload) finished() bool {
	select {
	case <-up.done:
		return up.err == nil
	default:
		return false
	}
}

// copyBody copies exactly n bytes; a body that is shorter is the client's fault.
func copyBody(w io.Writer, body io.Reader, n int64) error {
	src := &clientReader{r: body}
	copied, err := io.CopyN(w, src, n)
	switch {
	case src.err != nil:
		return &BodyError{Err: src.err}
	case errors.Is(err, io.EOF) && copied < n:
		return &BodyError{Err: io.ErrUnexpectedEOF}
	}
	return err
}

func copyFlushing(w io.Writer, body io.Reader, flush func() error) error {
	buf := make([]byte, 16<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &BodyError{Err: err}
		}
	}
}

// clientReader tells an error of the client's side from one of the target's.
type clientReader struct {
	r   io.Reader
	err error
}

// Read reads the client's body.
func (c *clientReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
