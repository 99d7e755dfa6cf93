// Package rule reads and evaluates the rule of a composite alarm, in the language of CloudWatch's AlarmRule:
//
//	rule  := and { OR and }
//	and   := not { AND not }
//	not   := [NOT] prim (and no NOT NOT)
//	prim  := ( rule ) | TRUE | FALSE | ALARM(ref) | OK(ref) | INSUFFICIENT_DATA(ref)
//	       | AT_LEAST(M | M%, [NOT] ALARM | OK | INSUFFICIENT_DATA, (ref, ref, ...))
//	ref   := the name or the ARN of an alarm; in double quotes if it has a space, a comma, a parenthesis or a quote,
//	         with \" for a quote and \\ for a backslash in it
//
// CloudWatch prints no grammar; that NOT binds closer than AND, and AND closer than OR, is the order of every language.
// Keywords are upper case, only TRUE and FALSE are read in any case, because CloudWatch's pages write False too.
//
// The package is pure: it knows neither where alarms are kept nor when a rule is evaluated.
package rule

import (
	"slices"
	"strings"
)

// CloudWatch's limits on a rule.
const (
	// MaxLength is the length of a rule in characters.
	MaxLength = 10240
	// MaxChildren is the number of different alarms in a rule.
	MaxChildren = 100
	// MaxElements is the number of references, TRUE, FALSE and pairs of grouping parentheses in a rule. A reference counts
	// each time it is written.
	MaxElements = 500
)

// The states that a rule asks for, as alarms spell them.
const (
	alarmState        = "ALARM"
	okState           = "OK"
	insufficientState = "INSUFFICIENT_DATA"
)

// Rule is a rule that was read. It does not change.
type Rule struct {
	root     node
	children []string
}

// Children returns the names of the alarms in the rule, sorted, each once. A reference by ARN gives the alarm's name.
func (r *Rule) Children() []string { return slices.Clone(r.children) }

// Eval tells whether the rule holds, that is whether the composite alarm is in ALARM. The function state returns "OK", "ALARM"
// or "INSUFFICIENT_DATA" for the name of a child; for an alarm that does not exist it returns anything else, and then only NOT
// conditions on it hold.
func (r *Rule) Eval(state func(name string) string) bool { return r.root.eval(state) }

// Triggers returns the names of the alarms whose states make the rule what it is now, sorted, each once: of A OR B those that
// hold if it holds, and both if it does not.
func (r *Rule) Triggers(state func(name string) string) []string {
	var names []string
	r.root.triggers(state, func(name string) { names = append(names, name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// String returns the rule in one spelling: single spaces, no needless parentheses or quotes. Parse reads it to an equal rule.
func (r *Rule) String() string {
	var b strings.Builder
	r.root.write(&b, 0)
	return b.String()
}

// Name returns the name of the alarm that a reference means: the end of an alarm's ARN, and any other reference itself.
func Name(ref string) string {
	const service = ":cloudwatch:"
	if !strings.HasPrefix(ref, "arn:") || !strings.Contains(ref, service) {
		return ref
	}
	if _, name, ok := strings.Cut(ref, ":alarm:"); ok && name != "" {
		return name
	}
	return ref
}
