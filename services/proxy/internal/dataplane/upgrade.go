package dataplane

import (
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/services/proxy/internal/h1"
)

const (
	// halfClosed is how long one direction of an upgraded connection may go on after the other ended.
	halfClosed = time.Minute
	// lastWord is how long a client gets to read the close frame of a WebSocket that was cut.
	lastWord = time.Second
)

// upgrade makes the client's connection and the target's one connection, until both directions have ended or the drain
// budget cuts it. What is left to say to the client then is left to after: the target has nothing more to do.
func (f *forwarding) upgrade(x *exchange, res *http.Response) {
	body := res.Body
	defer func() { _ = body.Close() }()
	upgraded, ok := res.Body.(*h1.Upgraded)
	protocol := res.Header.Get("Upgrade")
	if !ok || f.head.Upgrade == "" || !strings.EqualFold(protocol, f.head.Upgrade) {
		answer(f.w, f.r, http.StatusBadGateway, "the target switched to a protocol that was not asked for")
		return
	}
	client, buffered, err := http.NewResponseController(f.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = client.SetDeadline(time.Time{})
	t := &tunnel{client: client, x: x, websocket: strings.EqualFold(protocol, "websocket")}
	f.after = t.farewell
	h1.RemoveHopByHop(res.Header)
	res.Header.Set("Connection", "Upgrade")
	res.Header.Set("Upgrade", protocol)
	res.Body = nil // Write writes the head only
	if res.Write(buffered) != nil || buffered.Flush() != nil {
		return
	}
	var fromTarget []byte
	t.target, fromTarget = upgraded.Conn()
	fromClient, _ := buffered.Peek(buffered.Reader.Buffered())
	t.run(fromClient, fromTarget)
}

// tunnel is an upgraded connection.
type tunnel struct {
	client, target net.Conn
	x              *exchange
	websocket      bool
	frames         frames // what went to the client
}

// run copies in both directions until both have ended.
func (t *tunnel) run(fromClient, fromTarget []byte) {
	up := make(chan struct{})
	go func() {
		defer close(up)
		t.ended(t.target, pipe(t.target, fromClient, t.client))
	}()
	var client io.Writer = t.client
	if t.websocket {
		client = io.MultiWriter(t.client, &t.frames)
	}
	t.ended(t.client, pipe(client, fromTarget, t.target))
	<-up
}

func pipe(to io.Writer, early []byte, from net.Conn) error {
	if len(early) > 0 {
		if _, err := to.Write(early); err != nil {
			return err
		}
	}
	_, err := io.Copy(to, from)
	return err
}

// ended passes the end of the direction to the connection on: a clean end as the end of what is sent, after which the
// other direction may go on for a while; any other end as the end of that direction too.
func (t *tunnel) ended(to net.Conn, err error) {
	half, ok := to.(interface{ CloseWrite() error })
	if err != nil || !ok || t.x.wasCut.Load() || half.CloseWrite() != nil {
		_ = to.SetReadDeadline(time.Now())
		return
	}
	_ = to.SetReadDeadline(time.Now().Add(halfClosed))
}

// farewell closes the client's connection. The client of a WebSocket that was cut between two frames is told that its
// server is going away (RFC 6455 section 7.4.1, code 1001), so that it connects again at once.
func (t *tunnel) farewell() {
	defer func() { _ = t.client.Close() }()
	if !t.websocket || !t.x.wasCut.Load() || !t.frames.between() {
		return
	}
	_ = t.client.SetDeadline(time.Now().Add(lastWord))
	if _, err := t.client.Write([]byte{0x88, 2, 0x03, 0xe9}); err != nil {
		return
	}
	if half, ok := t.client.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, t.client) // to close with unread data would take the frame back
	}
}

// frames follows the bytes of WebSocket frames (RFC 6455 section 5.2) and knows when one has ended.
type frames struct {
	head [14]byte
	have int    // bytes of the head so far
	left uint64 // bytes of the payload to come
}

// Write follows the bytes.
func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if f.left > 0 {
			skip := min(f.left, uint64(len(p)))
			f.left -= skip
			p = p[skip:]
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		f.take()
	}
	return n, nil
}

// take reads the payload's length once the head is whole.
func (f *frames) take() {
	if f.have < 2 {
		return
	}
	length, size := uint64(f.head[1]&0x7f), 2
	switch length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	if f.have < size {
		return
	}
	switch length {
	case 126:
		length = uint64(f.head[2])<<8 | uint64(f.head[3])
	case 127:
		length = 0
		for _, b := range f.head[2:10] {
			length = length<<8 | uint64(b)
		}
	}
	f.have, f.left = 0, length
}

func (f *frames) between() bool { return f.have == 0 && f.left == 0 }
