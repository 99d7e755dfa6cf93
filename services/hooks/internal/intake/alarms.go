package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
)

// Alarms is the feed of the alarms service. Its history says what happened; its watch says when to look, and what the
// alarms are.
type Alarms struct {
	Place  event.Place
	Alarms alarmspb.AlarmServiceClient
	Now    func() time.Time
}

var _ Source = (*Alarms)(nil)

// Name is that of the feed.
func (*Alarms) Name() string { return "alarms" }

const (
	lookIdle     = 5 * time.Second
	lookSoon     = 250 * time.Millisecond
	soonFor      = 5 * time.Second // the history is written a moment after the watch tells of a change
	overlap      = time.Minute     // read again each time: clocks of replicas differ
	historyPage  = 100
	historyPages = 100 // of one look
)

// alarmsToken is how far the history was read.
type alarmsToken struct{ Until time.Time }

// Read looks at the history, now and then and soon after each change.
func (a *Alarms) Read(ctx context.Context, from outbox.Feed, record Recorder) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	until := alarmsToken{Until: from.CreateTime}
	if from.Token != "" {
		if err := json.Unmarshal([]byte(from.Token), &until); err != nil {
			return fmt.Errorf("read the place in the history of alarms: %w", err)
		}
	}
	w := &watched{alarms: make(map[string]known), changed: make(chan struct{}, 1)}
	stream, err := a.Alarms.WatchAlarms(ctx, &alarmspb.WatchAlarmsRequest{})
	if err != nil {
		return err
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel(nil)
	watching.Go(func() { cancel(w.follow(stream)) })
	err = a.look(ctx, w, &until, record)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (a *Alarms) look(ctx context.Context, w *watched, until *alarmsToken, record Recorder) error {
	told := map[string]time.Time{} // ids of events that were recorded, so that the overlap is not recorded over and over
	soon := time.Time{}
	for {
		wait := lookIdle
		if a.Now().Before(soon) {
			wait = lookSoon
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-w.changed:
			soon = a.Now().Add(soonFor)
		case <-timer.C:
		}
		timer.Stop()
		if err := a.record(ctx, w, until, told, record); err != nil {
			return err
		}
	}
}

// record records the changes of state that it has not told of.
func (a *Alarms) record(ctx context.Context, w *watched, until *alarmsToken, told map[string]time.Time, record Recorder) error {
	items, err := a.history(ctx, until.Until.Add(-overlap))
	if err != nil {
		return err
	}
	next := *until
	var events []event.Event
	for n, item := range items {
		e, err := event.OfAlarm(a.Place, w.fact(item, items[:n]))
		if err != nil {
			return err
		}
		if _, ok := told[e.ID]; ok {
			continue
		}
		told[e.ID] = e.Time
		events = append(events, e)
		if e.Time.After(next.Until) {
			next.Until = e.Time
		}
	}
	for id, at := range told {
		if at.Before(next.Until.Add(-2 * overlap)) {
			delete(told, id)
		}
	}
	if len(events) == 0 {
		return nil
	}
	token, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("write the place in the history of alarms: %w", err)
	}
	if err := record(ctx, string(token), events); err != nil {
		return err
	}
	*until = next
	return nil
}

// history returns the changes of state since a time, oldest first.
func (a *Alarms) history(ctx context.Context, since time.Time) ([]*alarmspb.AlarmHistoryItem, error) {
	var found []*alarmspb.AlarmHistoryItem
	token := ""
	for range historyPages {
		callCtx, cancel := context.WithTimeout(ctx, callTimeout)
		answer, err := a.Alarms.DescribeAlarmHistory(callCtx, &alarmspb.DescribeAlarmHistoryRequest{PageSize: historyPage, PageToken: token})
		cancel()
		if err != nil {
			return nil, err
		}
		old := 0
		for _, item := range answer.GetItems() {
			switch {
			case item.GetTime().AsTime().Before(since):
				old++
			case item.GetType() == alarmspb.AlarmHistoryItem_TYPE_STATE_UPDATE:
				found = append(found, item)
			}
		}
		// A whole page of old ones ends it: times are not quite in the order of the items.
		if token = answer.GetNextPageToken(); token == "" || old == len(answer.GetItems()) {
			break
		}
	}
	slices.Reverse(found)
	return found, nil
}
