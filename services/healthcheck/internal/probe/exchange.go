package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/slipway-deploy/slipway/platform/idleconn"
)

const (
	maxAnswer        = 1 << 20 // bytes that are read of an answer; a longer header fails, a longer body costs the connection
	maxInformational = 16      // 1xx answers before the final one
)

var (
	errTooLong  = errors.New("the answer is too long")
	errNothing  = errors.New("the target closed the connection without an answer")
	errEndless  = errors.New("the target sent too many informational answers")
	errCutShort = errors.New("the target closed the connection in the middle of its answer")
)

// exchanges are the buffers of those under way: a kept connection that waits needs none.
var exchanges = sync.Pool{New: func() any { return &exchange{br: bufio.NewReader(nil)} }}

type exchange struct {
	br      *bufio.Reader
	request []byte
}

// conn is a connection to a target. It carries one exchange at a time.
type conn struct {
	where place
	nc    net.Conn
	raw   syscall.RawConn // of the TCP connection; nil where it cannot be had
	left  int             // what may still be read of the answer

	answered bool  // something of an answer came
	failed   error // why no more of it can be read
	reusable bool  // the whole answer was read, and the target keeps the connection

	expires time.Time
	next    *conn // to the same place
}

func newConn(where place, nc net.Conn) *conn {
	cn := &conn{where: where, nc: nc}
	if sc, ok := nc.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			cn.raw = raw
		}
	}
	return cn
}

func (cn *conn) close() { _ = cn.nc.Close() }

// usable reports whether a kept connection can carry another exchange. The deadline of the last one may have passed meanwhile.
func (cn *conn) usable() bool {
	return cn.nc.SetDeadline(time.Time{}) == nil && idleconn.Usable(cn.raw)
}

// Read reads from the target within the bound on its answer.
func (cn *conn) Read(p []byte) (int, error) {
	if cn.left == 0 {
		cn.failed = errTooLong
		return 0, errTooLong
	}
	n, err := cn.nc.Read(p[:min(len(p), cn.left)])
	cn.left -= n
	cn.answered, cn.failed = cn.answered || n > 0, err
	return n, err
}

// exchange sends a request and returns the code of the answer, all of which it reads if it can.
func (cn *conn) exchange(ctx context.Context, request string, deadline time.Time) (code int, err error) {
	cn.left, cn.answered, cn.failed, cn.reusable = maxAnswer, false, nil, false
	if err := cn.nc.SetDeadline(deadline); err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, cn.close)()
	x := exchanges.Get().(*exchange) //nolint:forcetypeassert // nothing else is in there
	x.br.Reset(cn)
	defer func() {
		x.br.Reset(nil)
		exchanges.Put(x)
	}()
	x.request = append(x.request[:0], request...)
	_, sendErr := cn.nc.Write(x.request) // a target may answer before it has read the request, and close
	code, keeps, err := answer(x.br)
	if err != nil {
		return 0, cn.why(err, sendErr)
	}
	cn.reusable = keeps && sendErr == nil
	return code, nil
}

// why says why there is no answer. What came until reading failed may be no answer either; that it failed says more.
func (cn *conn) why(err, sendErr error) error {
	switch {
	case sendErr != nil && !cn.answered:
		return sendErr
	case errors.Is(cn.failed, io.EOF) && !cn.answered:
		return errNothing
	case errors.Is(cn.failed, io.EOF):
		return errCutShort
	case cn.failed != nil:
		return cn.failed
	}
	return err
}

// answer reads an answer up to its end, and reports whether another may follow over the connection. No error says that a final header
// was read; the body may be cut short all the same.
func answer(br *bufio.Reader) (code int, keeps bool, err error) {
	_, _ = br.Peek(1) // waits for the first bytes; an error comes again
	came, _ := br.Peek(br.Buffered())
	if p, ok := parsePlain(came); ok {
		_, err := br.Discard(p.size + p.length)
		return p.code, err == nil && !p.close && br.Buffered() == 0, nil
	}
	res, err := finalAnswer(br)
	if err != nil {
		return 0, false, err
	}
	defer res.Body.Close()
	_, bodyErr := io.Copy(io.Discard, res.Body)
	keeps = bodyErr == nil && !res.Close && res.StatusCode != http.StatusSwitchingProtocols && br.Buffered() == 0
	return res.StatusCode, keeps, nil
}

// finalAnswer reads answers up to the header of the one that is not informational.
func finalAnswer(br *bufio.Reader) (*http.Response, error) {
	for range maxInformational {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return nil, err
		}
		if res.StatusCode < 100 || res.StatusCode > 199 || res.StatusCode == http.StatusSwitchingProtocols {
			return res, nil
		}
	}
	return nil, errEndless
}
