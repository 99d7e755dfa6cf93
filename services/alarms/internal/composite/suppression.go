package composite

import (
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// By is CloudWatch's ActionsSuppressedBy.
type By string

// What suppresses actions.
const (
	Nothing         By = ""
	WaitPeriod      By = "WAIT_PERIOD"
	ExtensionPeriod By = "EXTENSION_PERIOD"
	BySuppressor    By = "ALARM"
)

// Suppression says whether the actions of an alarm are suppressed.
type Suppression struct {
	By     By
	Reason string
	Until  time.Time // when it ends by itself; zero if it does not
}

// Suppressed says what suppresses the actions of an alarm that is in a state since a time. left is when the suppressor left ALARM last;
// zero if it never did.
func (d Definition) Suppressed(state alarm.State, since time.Time, suppressor Child, left, now time.Time) Suppression {
	if d.Suppressor == "" {
		return Suppression{}
	}
	waits, extends := since.Add(d.Wait), left.Add(d.Extension)
	switch {
	case suppressor.State == alarm.Alarm:
		return Suppression{By: BySuppressor, Reason: fmt.Sprintf("Actions suppressed: the suppressor alarm %s is in ALARM.", d.Suppressor)}
	case !left.IsZero() && now.Before(extends):
		return Suppression{ExtensionPeriod, fmt.Sprintf("Actions suppressed: the suppressor alarm %s left ALARM, and the extension period of %s "+
			"goes on until %s.", d.Suppressor, d.Extension, clock(extends)), extends}
	case state == alarm.Alarm && now.Before(waits):
		return Suppression{WaitPeriod, fmt.Sprintf("Actions suppressed: waiting until %s for the suppressor alarm %s to go to ALARM.",
			clock(waits), d.Suppressor), waits}
	}
	return Suppression{}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }
