package invocation

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output of testdata/*.txt")

// TestTranscripts runs testdata/*.txt: each command ("> ...") is followed by what the invocation looks like after it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runTranscript(t, string(raw))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(raw) {
				t.Errorf("the transcript differs (-rewrite and read the diff)\n--- want\n%s\n--- got\n%s", raw, got)
			}
		})
	}
}

// epoch is when transcripts begin; they write times as the span since then.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type stage struct {
	t          *testing.T
	invocation Invocation
}

func runTranscript(t *testing.T, text string) string {
	s := &stage{t: t}
	var out strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "#"), line == "":
			out.WriteString(line + "\n")
		case strings.HasPrefix(line, "> "):
			out.WriteString(line + "\n" + s.run(strings.Fields(line[2:])))
		}
	}
	return out.String()
}

// run takes "<at> <event> [arguments]", e.g. "5s answer 1 IN_PROGRESS delay=2s".
func (s *stage) run(words []string) string {
	at := mustDuration(s.t, words[0])
	now := epoch.Add(at)
	number, options := 0, map[string]string{}
	var plain []string
	for _, w := range words[2:] {
		if key, value, ok := strings.Cut(w, "="); ok {
			options[key] = strings.ReplaceAll(value, "_", " ")
		} else if n, err := strconv.Atoi(w); err == nil {
			number = n
		} else {
			plain = append(plain, w)
		}
	}
	if words[1] == "invoke" {
		return s.invoke(options, now)
	}
	before := s.invocation
	d := Decide(before, s.event(words[1], number, plain, options), now)
	s.invocation = d.Next
	return s.describe(before, d)
}

func (s *stage) invoke(options map[string]string, now time.Time) string {
	spec := Spec{ID: "d-1/POST_SCALE_UP/0/smoke", Service: "default/web", Deployment: "d-1", Stage: "POST_SCALE_UP"}
	if v := options["timeout"]; v != "" {
		spec.Timeout = mustDuration(s.t, v)
	}
	spec.TimeoutAction = TimeoutAction(options["action"])
	spec.Details, spec.Carried, spec.Contract = details(options["details"]), details(options["carried"]), Contract(options["contract"])
	hook := Hook{Name: "smoke", Target: Target{Kind: GRPC, Address: "localhost:1"}}
	hook.MaxAttempts, _ = strconv.Atoi(options["attempts"])
	hook, err := NewHook(hook, Rules{})
	if err == nil {
		s.invocation, err = New(spec, hook, now)
	}
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return s.describe(Invocation{}, Decision{Next: s.invocation})
}

func (s *stage) event(name string, attempt int, plain []string, options map[string]string) Event {
	answer := Answer{Details: details(options["details"]), Reason: options["reason"], Broken: options["broken"], Accepted: options["accepted"] != ""}
	if len(plain) > 0 {
		answer.Status = plain[0]
	}
	if v := options["delay"]; v != "" {
		delay := mustDuration(s.t, v)
		answer.Delay = &delay
	}
	switch name {
	case "due":
		return Due{}
	case "answer":
		return Answered{Attempt: attempt, Answer: answer}
	case "report":
		return Reported{Attempt: attempt, Answer: answer}
	case "error":
		return Unanswered{Attempt: attempt, Error: options["text"], Final: options["final"] != "", Begun: options["begun"] != ""}
	case "postpone":
		return Postponed{Attempt: attempt, Delay: *answer.Delay, Reason: answer.Reason}
	case "complete":
		return Completed{Succeeded: answer.Status == "Succeeded"}
	case "cancel":
		return Cancel{}
	default:
		s.t.Fatalf("no event %q", name)
		return nil
	}
}

func (s *stage) describe(before Invocation, d Decision) string {
	i := d.Next
	var out strings.Builder
	fmt.Fprintf(&out, "  %s", i.State)
	if i.Outcome != NoOutcome {
		fmt.Fprintf(&out, " %s", i.Outcome)
	}
	fmt.Fprintf(&out, " attempt=%d", i.Attempt)
	if i.Open {
		out.WriteString(" open")
	}
	if len(i.Details) > 0 {
		fmt.Fprintf(&out, " details=%v", map[string]any(i.Details))
	}
	if len(i.Returned) > 0 {
		fmt.Fprintf(&out, " returned=%v", map[string]any(i.Returned))
	}
	if wake := i.WakeAt(); !wake.IsZero() {
		fmt.Fprintf(&out, " wake=%s", wake.Sub(epoch))
	}
	if d.Call {
		out.WriteString(" CALL")
	}
	out.WriteString("\n")
	if i.Reason != before.Reason {
		fmt.Fprintf(&out, "  reason: %s\n", i.Reason)
	}
	if d.Ignored != "" {
		fmt.Fprintf(&out, "  ignored: %s\n", d.Ignored)
	}
	return out.String()
}

func details(list string) Details {
	if list == "" {
		return nil
	}
	d := Details{}
	for pair := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(pair, ":")
		d[key] = value
	}
	return d
}

func mustDuration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
