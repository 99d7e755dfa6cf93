// Package event is the contract of the ways in which events leave Slipway: a Sender makes one attempt to give one event
// to one target and says what came of it. Whether and when to try again is not a sender's to decide.
package event

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Target is where an event goes. What of it is used depends on the sender.
type Target struct {
	Address    string // URL, topic's ARN, or event bus
	Region     string // of AWS; "" for that of the environment
	Endpoint   string // of AWS, when it is another than AWS's
	KeepSource bool   // of an event bus: sources that begin with "aws." are kept
	Secrets    []string
}

// Message is one event.
type Message struct {
	ID          string // the same in every attempt
	OrderKey    string // events with the same key keep their order
	Source      string
	DetailType  string
	Time        time.Time
	Resources   []string
	Detail      []byte // JSON
	Body        []byte // the whole event, in the subscription's format
	ContentType string // of Body
}

// Result is what one attempt brought.
type Result struct {
	Delivered bool
	Final     bool          // trying again cannot help
	After     time.Duration // how long the target asks not to be called; 0 when it does not
	Reason    string        // why it was not delivered
}

// Sender sends events to one kind of target, with nothing done twice by itself. ctx bounds the attempt.
type Sender interface {
	Send(ctx context.Context, to Target, m Message) Result
}

// Delivered is the result of a success.
func Delivered() Result { return Result{Delivered: true} }

// Failed is the result of an attempt that may be made again.
func Failed(format string, args ...any) Result {
	return Result{Reason: clean(fmt.Sprintf(format, args...))}
}

// Refused is the result of an attempt that is not worth making again.
func Refused(format string, args ...any) Result {
	r := Failed(format, args...)
	r.Final = true
	return r
}

// maxReason bounds a reason, in bytes: parts of it are foreign.
const maxReason = 1024

func clean(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
