package h1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// body is a response's body. At its end the connection goes back to the client, or is closed when it cannot be used
// again.
type body struct {
	inner    io.ReadCloser
	cn       *conn
	call     *Call
	up       *upload // nil when the request was sent before the response came
	reusable bool
	over     bool
}

// withBody makes the response's end the end of the exchange.
func (cn *conn) withBody(res *http.Response, call *Call, up *upload, sent bool) *http.Response {
	b := &body{inner: res.Body, cn: cn, call: call, up: up, reusable: sent && !res.Close}
	if res.Body == http.NoBody {
		b.end()
		return res
	}
	res.Body = b
	return res
}

// Read reads from the target.
func (b *body) Read(p []byte) (int, error) {
	if b.over {
		return 0, io.EOF
	}
	n, err := b.inner.Read(p)
	if errors.Is(err, io.EOF) {
		b.end()
	}
	return n, err
}

// Buffered is how many bytes can be read without waiting, framing included.
func (b *body) Buffered() int { return b.cn.br.Buffered() }

// Close ends the exchange. Before the end of the body that costs the connection.
func (b *body) Close() error {
	if !b.over {
		b.reusable = false
		b.end()
	}
	return nil
}

func (b *body) end() {
	b.over = true
	live := b.call.detach()
	b.cn.stopWatch()
	// What came behind the response is nobody's: the two sides no longer agree.
	reusable := live && b.reusable && (b.up == nil || b.up.finished()) && b.cn.br.Buffered() == 0
	if !reusable {
		b.cn.close()
		return
	}
	b.cn.client.put(b.cn)
}

// Upgraded is the connection behind a response 101. It belongs to the caller.
type Upgraded struct {
	conn *conn
	call *Call
}

// Conn returns the connection. What the target sent right after its response is read from it first.
func (u *Upgraded) Conn() (net.Conn, []byte) {
	_ = u.conn.nc.SetDeadline(time.Time{})
	early, _ := u.conn.br.Peek(u.conn.br.Buffered())
	return u.conn.nc, early
}

// Read is there to make Upgraded a response's body; use Conn.
func (u *Upgraded) Read(p []byte) (int, error) { return u.conn.br.Read(p) }

// Close closes the connection.
func (u *Upgraded) Close() error {
	u.call.detach()
	u.conn.stopWatch()
	u.conn.close()
	return nil
}
