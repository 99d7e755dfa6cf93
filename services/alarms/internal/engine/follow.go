package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const (
	compareEvery = 2 * time.Second  // with the store, for messages that were missed
	linger       = 15 * time.Second // for what a replica that has left still saves
)

// lostDatabase is what a replica says of alarms when it cannot know what the others found.
var lostDatabase = Trouble{EvaluationFailure, "This replica cannot reach the database: another one evaluates the alarm."}

// follow takes over what other replicas saved, while there are any. The caller is between begin and end.
func (e *Engine) follow(ctx context.Context) error {
	if e.cfg.Leases == nil {
		return nil
	}
	switch members := e.cfg.Leases.Members(); {
	case members == 0 && e.shared.peers:
		e.setCut(true)
		return nil
	case members < 2 && !e.shared.peers:
		return nil
	default:
		if members > 1 {
			e.shared.met = e.cfg.Now()
		}
		if err := e.meet(ctx, e.cfg.Now().Sub(e.shared.met) < linger); err != nil {
			return err
		}
	}
	if err := e.followPoints(ctx); err != nil {
		return err
	}
	if now := e.cfg.Now(); now.Sub(e.shared.compared) >= compareEvery || e.shared.cut {
		if err := e.compare(ctx); err != nil {
			return err
		}
		e.shared.compared = now
	}
	e.setCut(false)
	return nil
}

// meet notes that there are other replicas, or none any more. What they added is followed from the moment they are met; what they
// added before is read with each alarm of this replica.
func (e *Engine) meet(ctx context.Context, peers bool) error {
	if peers == e.shared.peers {
		return nil
	}
	since, err := e.cfg.Others.SnapshotNow(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.shared.since, e.shared.peers = since, peers
	var mine []string
	for name, w := range e.alarms {
		if w.mine && peers {
			mine = append(mine, name)
		}
	}
	e.mu.Unlock()
	for _, name := range mine {
		if len(e.hold([]string{name})) > 0 {
			e.release()
			continue // its change of state is saved first; the comparison finds the rest
		}
		effect, err := e.fresh(ctx, name)
		e.release()
		if err != nil {
			return err
		}
		e.apply(effect)
	}
	return nil
}

// followPoints takes in what others added.
func (e *Engine) followPoints(ctx context.Context) error {
	points, next, err := e.cfg.Others.DatapointsSince(ctx, e.shared.since)
	if err != nil {
		return err
	}
	now := e.cfg.Now().UTC()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shared.since = next
	kick := false
	for _, p := range points {
		for _, w := range e.byMetric[p.Metric] {
			if !w.mine || p.SeenIn(w.seen) {
				continue
			}
			w.add(p.Datapoint)
			if w.matters(p.Time, now) {
				w.due, kick = time.Time{}, true
			}
		}
	}
	if kick {
		e.kick()
	}
	return nil
}

// compare finds alarms that are not as the store has them.
func (e *Engine) compare(ctx context.Context) error {
	list, err := e.cfg.Others.Standing(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	there := make(map[string]bool, len(list))
	for _, s := range list {
		there[s.Name] = true
		if w := e.alarms[s.Name]; w == nil || w.mine != e.holds(s.Name) || differs(s, w) {
			e.stale[s.Name] = true
		}
	}
	for name := range e.alarms {
		if !there[name] {
			e.stale[name] = true
		}
	}
	return nil
}

func differs(s store.Stand, w *watched) bool {
	a := w.Stored
	if !sameTime(s.StateTime, a.StateTime) || !sameTime(s.ConfigurationTime, a.ConfigurationTime) {
		return true
	}
	if w.mine {
		return false
	}
	left := s.SuppressorLeft == nil && a.SuppressorLeft == nil ||
		s.SuppressorLeft != nil && a.SuppressorLeft != nil && sameTime(*s.SuppressorLeft, *a.SuppressorLeft)
	return !left || s.EvaluationState != a.EvaluationState || s.EvaluationReason != a.EvaluationReason
}

// setCut has watchers know that what they see may be out of date, or is not any more.
func (e *Engine) setCut(cut bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cut == e.shared.cut {
		return
	}
	e.shared.cut = cut
	for name, w := range e.alarms {
		if w.mine && !cut {
			continue
		}
		if cut {
			w.Trouble = lostDatabase
		} else {
			w.Trouble = Trouble{w.Stored.EvaluationState, w.Stored.EvaluationReason}
		}
		e.hub.Set(name, w.Alarm)
		e.renew(name)
	}
}
