package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/platform/problem"
	core "github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// work makes one attempt and records what came of it.
func (e *Engine) work(ctx context.Context, c outbox.Claimed) {
	if c.Progress.Attempts == 0 && !c.At.Before(c.Progress.Expire) {
		e.record(ctx, c, func(p subscription.Progress, _ time.Time) subscription.Verdict {
			return subscription.Expired(c.Subscription, p)
		})
		return
	}
	outcome, ok := e.send(ctx, c)
	if !ok {
		return
	}
	jitter := e.cfg.Jitter()
	e.record(ctx, c, func(p subscription.Progress, now time.Time) subscription.Verdict {
		return subscription.Decide(c.Subscription, p, outcome, e.cfg.Backoff, now, jitter)
	})
}

// send makes the call, unless the endpoint's circuit is open. It reports false when the call was broken off by Stop:
// nobody knows then whether the target has the event.
func (e *Engine) send(ctx context.Context, c outbox.Claimed) (subscription.Outcome, bool) {
	sender := e.cfg.Senders[c.Subscription.Target.Kind]
	if sender == nil {
		return subscription.Outcome{Final: true, Reason: fmt.Sprintf("nothing here sends to a target of kind %q", c.Subscription.Target.Kind)}, true
	}
	message, err := Message(c.Subscription.Format, c.EventID, c.OrderKey, c.Subject, []byte(c.Envelope), c.EventTime)
	if err != nil {
		return subscription.Outcome{Final: true, Reason: err.Error()}, true
	}
	done, closed := e.breakers.allow(c.Subscription.Target.EndpointName())
	if closed != nil {
		return subscription.Outcome{Postponed: true, After: closed.delay, Reason: closed.reason}, true
	}
	callCtx, cancel := context.WithTimeout(ctx, c.Subscription.CallTimeout)
	defer cancel()
	t := c.Subscription.Target
	began := e.cfg.Now()
	r := sender.Send(callCtx, event.Target{
		Address: t.Address, Region: t.Region, Endpoint: t.Endpoint, KeepSource: t.KeepSource, Secrets: t.Secrets,
	}, message)
	if ctx.Err() != nil && !r.Delivered {
		done(notCounted)
		return subscription.Outcome{}, false
	}
	e.cfg.Metrics.sent(ctx, t.Kind, r, e.cfg.Now().Sub(began))
	if r.Delivered || r.Final {
		done(asSuccess)
	} else {
		done(asFailure)
	}
	return subscription.Outcome{Delivered: r.Delivered, Final: r.Final, After: r.After, Reason: r.Reason}, true
}

// Message is an event as its subscription wants it.
func Message(format subscription.Format, id, orderKey, subject string, envelope []byte, at time.Time) (event.Message, error) {
	var parts core.Envelope
	if err := json.Unmarshal(envelope, &parts); err != nil {
		return event.Message{}, fmt.Errorf("read event %s: %w", id, err)
	}
	m := event.Message{
		ID: id, OrderKey: orderKey, Source: parts.Source, DetailType: parts.DetailType, Time: at, Resources: parts.Resources,
		Detail: parts.Detail, Body: envelope, ContentType: "application/json",
	}
	if format == subscription.CloudEventsFormat {
		body, err := core.CloudEvent(envelope, subject)
		if err != nil {
			return m, err
		}
		m.Body, m.ContentType = body, "application/cloudevents+json"
	}
	return m, nil
}

// maxRecordFailures bounds how often a result that the database refuses, though it can be reached, is tried.
const maxRecordFailures = 10

// record saves what became of an attempt, as long as it takes the database to come back. Where it gives up the lease
// runs out, and the event is sent again with the same id.
func (e *Engine) record(
	ctx context.Context, c outbox.Claimed, decide func(subscription.Progress, time.Time) subscription.Verdict,
) {
	log := e.cfg.Log.With("subscription", c.Subscription.Name, "event", c.EventID)
	var retry backoff
	for refused := 0; refused < maxRecordFailures; {
		v, err := e.settle(ctx, c, decide)
		switch {
		case err == nil && v.State == subscription.DeadLetter:
			log.Warn("an event is a dead letter", "attempts", v.Attempts, "reason", v.Reason)
			e.cfg.Metrics.dead(ctx, c.Subscription.Target.Kind)
			return
		case err == nil:
			log.Debug("an event was sent", "state", v.State, "attempts", v.Attempts, "reason", v.Reason)
			return
		case ctx.Err() != nil:
			return
		case !transient(err):
			refused++
		}
		if retry.first() {
			log.Warn("what became of an event waits to be recorded", "error", err)
		}
		pause(ctx, retry.next())
	}
	log.Error("what became of an event cannot be recorded; it will be sent again")
}

// settle outlives the stop of calls: an event that was delivered should not be sent again.
func (e *Engine) settle(
	ctx context.Context, c outbox.Claimed, decide func(subscription.Progress, time.Time) subscription.Verdict,
) (subscription.Verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
	defer cancel()
	return e.store.Settle(ctx, e.owner, c, decide)
}

func transient(err error) bool {
	for _, kind := range []problem.Kind{problem.Unavailable, problem.Aborted, problem.DeadlineExceeded, problem.Canceled} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}
