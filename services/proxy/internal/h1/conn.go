package h1

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/platform/idleconn"
)

const (
	bufferSize = 4 << 10
	// inlineBody is the longest body that is written before the response is looked for. It fits the socket buffers of
	// a target that does not read, so that both sides cannot wait for each other.
	inlineBody = 16 << 10
	// maxInformational bounds the 1xx responses to one request.
	maxInformational = 16
)

var errHeaderTooLarge = errors.New("the response's header is too large")

// conn is a connection to the target and the exchange that goes on over it.
type conn struct {
	client *Client
	nc     net.Conn
	raw    syscall.RawConn // nil when the probe cannot be had
	br     *bufio.Reader
	bw     *bufio.Writer

	idleSince time.Time
	stopWatch func() bool // ends the watch on the request's context

	// Of the exchange that goes on.
	gotBytes    bool  // something of a response came
	sentBytes   bool  // something of the request left
	bodyTouched bool  // the request's body was read
	headLimit   int64 // bytes that may still be read; negative for no limit

	deadline sync.Mutex // guards the two below, which the upload's goroutine shares
	waiting  bool       // for a response's header
	limited  bool       // a read deadline is set
}

func newConn(c *Client, nc net.Conn) *conn {
	cn := &conn{client: c, nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			cn.raw = raw
		}
	}
	cn.br = bufio.NewReaderSize(cn, bufferSize)
	cn.bw = bufio.NewWriterSize(cn, bufferSize)
	return cn
}

func (cn *conn) close() { _ = cn.nc.Close() }

// alive says whether the unused connection can carry a request. It does not wait.
func (cn *conn) alive() bool {
	if cn.limited { // a deadline that has passed would look like a closed connection
		_ = cn.nc.SetReadDeadline(time.Time{})
		cn.limited = false
	}
	return idleconn.Usable(cn.raw)
}

// Read reads from the target within the bound on a response's header.
func (cn *conn) Read(p []byte) (int, error) {
	if cn.headLimit == 0 {
		return 0, errHeaderTooLarge
	}
	if cn.headLimit > 0 && int64(len(p)) > cn.headLimit {
		p = p[:cn.headLimit]
	}
	n, err := cn.nc.Read(p)
	if n > 0 {
		cn.gotBytes = true
		if cn.headLimit > 0 {
			cn.headLimit -= int64(n)
		}
	}
	return n, err
}

// Write writes to the target.
func (cn *conn) Write(p []byte) (int, error) {
	n, err := cn.nc.Write(p)
	if n > 0 {
		cn.sentBytes = true
	}
	return n, err
}

// exchange sends the request and reads the response's header.
func (cn *conn) exchange(r *http.Request, head Head, call *Call) (*http.Response, error) {
	cn.gotBytes, cn.sentBytes, cn.bodyTouched = false, false, false
	head.write(cn.bw, r)
	writeFraming(cn.bw, r)
	up, sendErr := cn.send(r)
	if _, ok := errors.AsType[*BodyError](sendErr); ok {
		return nil, sendErr
	}
	if up == nil {
		cn.awaitHeader()
	}
	// A target may answer and close before it read the whole request: its answer counts, not the failed write.
	res, err := cn.readResponse(r, call, up)
	if err != nil {
		if up != nil {
			if clientErr := up.clientErr.Load(); clientErr != nil {
				return nil, clientErr
			}
		}
		if sendErr != nil && !cn.gotBytes {
			return nil, sendErr
		}
		return nil, err
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		res.Body = &Upgraded{conn: cn, call: call}
		return res, nil
	}
	return cn.withBody(res, call, up, sendErr == nil), nil
}

// send writes the request, whose head is in the buffer. A body that is long, or that the target shall ask for first,
// is left to an upload.
func (cn *conn) send(r *http.Request) (*upload, error) {
	if !hasBody(r) {
		return nil, cn.bw.Flush()
	}
	expects := hasToken(r.Header["Expect"], "100-continue")
	if !expects && r.ContentLength > 0 && r.ContentLength <= inlineBody {
		cn.bodyTouched = true
		if err := copyBody(cn.bw, r.Body, r.ContentLength); err != nil {
			return nil, err
		}
		return nil, cn.bw.Flush()
	}
	return startUpload(cn, r, expects), nil
}

// readResponse reads up to the final response's header, or that of a 101.
func (cn *conn) readResponse(r *http.Request, call *Call, up *upload) (*http.Response, error) {
	cn.headLimit = cn.client.config.MaxResponseHeaderBytes
	if cn.headLimit <= 0 {
		cn.headLimit = -1
	}
	for range maxInformational {
		res, err := http.ReadResponse(cn.br, r)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = ErrHeaderTimeout
			}
			return nil, err
		}
		switch {
		case res.StatusCode < http.StatusContinue: // which net/http's server would not send on
			return nil, fmt.Errorf("the target answered with status %d", res.StatusCode)
		case res.StatusCode == http.StatusContinue:
			if up != nil {
				up.proceed()
			}
		case res.StatusCode == http.StatusSwitchingProtocols || res.StatusCode >= 200:
			cn.headLimit = -1
			cn.headerCame(res)
			return res, nil
		case call.Informational != nil:
			call.Informational(res.StatusCode, res.Header)
		}
	}
	return nil, errors.New("the target sent too many informational responses")
}

// awaitHeader starts the time for the response's header: the request was sent.
func (cn *conn) awaitHeader() {
	timeout := cn.client.config.ResponseHeaderTimeout
	cn.deadline.Lock()
	defer cn.deadline.Unlock()
	cn.waiting = true
	if timeout > 0 {
		_ = cn.nc.SetReadDeadline(time.Now().Add(timeout))
		cn.limited = true
	}
}

// headerCame lifts the deadline, unless the whole body is here already: then the next exchange sets its own.
func (cn *conn) headerCame(res *http.Response) {
	cn.deadline.Lock()
	defer cn.deadline.Unlock()
	cn.waiting = false
	whole := res.ContentLength >= 0 && int64(cn.br.Buffered()) >= res.ContentLength && res.StatusCode != http.StatusSwitchingProtocols
	if cn.limited && !whole {
		_ = cn.nc.SetReadDeadline(time.Time{})
		cn.limited = false
	}
}
