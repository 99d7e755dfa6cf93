// Package words writes the contract's values for people: enums, lengths of time, percents, strategies. It knows
// messages and no terminal.
package words

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Enum is the name of an enum's value without its prefix, e.g. "ROLLING"; "" for the value that means not set.
func Enum(e protoreflect.Enum) string {
	values := e.Descriptor().Values()
	prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
	switch v := values.ByNumber(e.Number()); {
	case e.Number() == 0:
		return ""
	case v == nil:
		return strconv.Itoa(int(e.Number()))
	default:
		return strings.TrimPrefix(string(v.Name()), prefix)
	}
}

// Took is a length of time, in as many figures as help: "0.2s", "12s", "3m05s", "1h02m", "3d04h".
func Took(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < 59500*time.Millisecond:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d.Round(time.Second) < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Precise is Took with milliseconds where they are all there is: "40ms".
func Precise(d time.Duration) string {
	if d = max(0, d); d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	return Took(d)
}

// Since is how far into a deployment something happened, to the tenth of a second in its first minutes: "+12.3s".
func Since(d time.Duration) string {
	d = max(0, d)
	if d < 10*time.Minute {
		if d < time.Minute {
			return fmt.Sprintf("+%.1fs", d.Truncate(100*time.Millisecond).Seconds())
		}
		d = d.Truncate(100 * time.Millisecond)
		return fmt.Sprintf("+%dm%04.1fs", int(d.Minutes()), d.Seconds()-60*math.Floor(d.Minutes()))
	}
	return "+" + Took(d)
}

// Length is a span as it was written in a configuration: "30s", "5m", "1h30m", "0s".
func Length(d *durationpb.Duration) string {
	text := d.AsDuration().String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Percent is a share: "10 %", "2.5 %".
func Percent(p float64) string {
	return strconv.FormatFloat(math.Round(p*10)/10, 'f', -1, 64) + " %"
}

// Time is a time of day in the place, with the day when it is not that of now. "-" when there is none.
func Time(t *timestamppb.Timestamp, now time.Time, place *time.Location) string {
	if t == nil {
		return "-"
	}
	at, today := t.AsTime().In(place), now.In(place)
	if at.Format(time.DateOnly) == today.Format(time.DateOnly) {
		return at.Format(time.TimeOnly)
	}
	return at.Format(time.DateTime)
}

// Clean makes text from a server fit for one line of a terminal: no control characters, so no escape sequences.
func Clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s))
}

// Sentence is the text with a small first letter and without a full stop, to stand after a colon.
func Sentence(s string) string {
	s = strings.TrimSuffix(Clean(s), ".")
	if len(s) > 1 && unicode.IsUpper(rune(s[0])) && unicode.IsLower(rune(s[1])) {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}

// OrDash is the text, or "-" for a cell of a table that would be empty.
func OrDash(s string) string {
	if s = Clean(s); s == "" {
		return "-"
	}
	return s
}
