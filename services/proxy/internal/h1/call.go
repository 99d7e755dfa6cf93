package h1

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// The errors of Do beside DialError and BodyError.
var (
	// ErrAborted is the end of a call by Abort or by its context.
	ErrAborted = errors.New("the call was aborted")
	// ErrHeaderTimeout is a target that took too long to answer.
	ErrHeaderTimeout = errors.New("the target did not answer in time")
	// ErrRequest is a request that cannot be written as HTTP/1.1.
	ErrRequest = errors.New("the request is malformed")
)

// DialError says that no connection to the target could be made. Nothing of the request was read or sent: it may go
// to another target whatever its method.
type DialError struct {
	Address string
	Err     error
}

// Error is the cause with the address.
func (e *DialError) Error() string { return fmt.Sprintf("connect to %s: %v", e.Address, e.Err) }

// Unwrap is the cause.
func (e *DialError) Unwrap() error { return e.Err }

// BodyError says that the request's body could not be read from the client.
type BodyError struct{ Err error }

// Error is the cause.
func (e *BodyError) Error() string { return "read the request's body: " + e.Err.Error() }

// Unwrap is the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// Call is one use of Do, for one Do only. The zero value is ready.
type Call struct {
	// Informational is called with each 1xx response but 100 and 101; nil ignores them.
	Informational func(status int, header http.Header)

	mu      sync.Mutex
	conn    *conn // while the exchange goes on
	aborted bool
}

// Abort ends the call: a running Do returns ErrAborted, reads of the response's body and of an upgraded connection
// fail. It may come from any goroutine, before, during or after the call.
func (c *Call) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.aborted = true
	if c.conn != nil {
		c.conn.close()
	}
}

// attach notes the connection in use; false means that the call was aborted before.
func (c *Call) attach(cn *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.aborted {
		return false
	}
	c.conn = cn
	return true
}

// detach lets go of the connection, so that a late Abort does not hit its next user; false means that the call was
// aborted and the connection is closed.
func (c *Call) detach() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	return !c.aborted
}
