package app

import (
	"fmt"
	"regexp"
	"time"

	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// EventsConfig says where events come from, what they say of this installation, and how they are delivered.
type EventsConfig struct {
	Orchestrator        grpcclient.Config `flag:"orchestrator" env:"SLIPWAY_ORCHESTRATOR"` // without a target its events are not read
	Alarms              grpcclient.Config `flag:"alarms" env:"SLIPWAY_ALARMS"`             // without a target they are not read
	Account             string            `flag:"event-account" env:"SLIPWAY_EVENT_ACCOUNT" help:"account in events and their ARNs, 12 digits"`
	Region              string            `flag:"event-region" env:"SLIPWAY_EVENT_REGION" help:"region in events and their ARNs"`
	Workers             int               `flag:"event-workers" env:"SLIPWAY_EVENT_WORKERS" help:"events sent at the same time"`
	FirstRetry          time.Duration     `flag:"event-first-retry" env:"SLIPWAY_EVENT_FIRST_RETRY" help:"pause before an event is sent again; it doubles"`
	LastRetry           time.Duration     `flag:"event-last-retry" env:"SLIPWAY_EVENT_LAST_RETRY" help:"longest pause before an event is sent again"`
	Retention           time.Duration     `flag:"event-retention" env:"SLIPWAY_EVENT_RETENTION" help:"how long delivered events are kept"`
	DeadLetterRetention time.Duration     `flag:"dead-letter-retention" env:"SLIPWAY_DEAD_LETTER_RETENTION" help:"how long dead letters are kept"`
	DeadLetterLimit     int               `flag:"dead-letter-limit" env:"SLIPWAY_DEAD_LETTER_LIMIT" help:"dead letters kept of one subscription; the oldest go first"`
}

// minEventRetention is more than what the feeds read again when they lose their place: duplicates are known by then.
const minEventRetention = 24 * time.Hour

func defaultEvents() EventsConfig {
	return EventsConfig{
		Orchestrator: grpcclient.Config{Target: "127.0.0.1:7001"},
		Alarms:       grpcclient.Config{Target: "127.0.0.1:7004"},
		Account:      "000000000000", Region: "local", Workers: 256,
		FirstRetry: time.Second, LastRetry: 10 * time.Minute,
		Retention: 7 * 24 * time.Hour, DeadLetterRetention: 14 * 24 * time.Hour, DeadLetterLimit: 10_000,
	}
}

var (
	accountRule = regexp.MustCompile(`^[0-9]{12}$`)
	regionRule  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// broken returns every rule that is broken.
func (c EventsConfig) broken() []error {
	var errs []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	want(accountRule.MatchString(c.Account), "event-account: must have 12 digits, is %q", c.Account)
	want(regionRule.MatchString(c.Region), "event-region: must have 1 to 32 small letters, digits or -, is %q", c.Region)
	want(c.Workers >= 1, "event-workers: must be at least 1, is %d", c.Workers)
	want(c.FirstRetry > 0, "event-first-retry: must be more than 0, is %s", c.FirstRetry)
	want(c.LastRetry >= c.FirstRetry, "event-last-retry: must be at least event-first-retry (%s), is %s", c.FirstRetry, c.LastRetry)
	want(c.Retention >= minEventRetention, "event-retention: must be at least %s, is %s", minEventRetention, c.Retention)
	want(c.DeadLetterRetention > 0, "dead-letter-retention: must be more than 0, is %s", c.DeadLetterRetention)
	want(c.DeadLetterLimit >= 1, "dead-letter-limit: must be at least 1, is %d", c.DeadLetterLimit)
	return errs
}
