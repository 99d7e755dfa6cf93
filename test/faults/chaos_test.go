package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// suffered is what a fault did, over all times that it was tried.
type suffered struct {
	name        string
	times, lost int
	step        time.Duration // the longest until each service had a step again
	notHere     bool
	losses      []string
}

// TestEachFaultOnce has every fault once, one after the other, on one system under load.
func TestEachFaultOnce(t *testing.T) {
	if *minutes > 0 {
		t.Skip("-minutes draws them at random")
	}
	w := startSystem(t).begin()
	w.goesOn()
	var rows []*suffered
	for _, f := range allFaults() {
		row := &suffered{name: f.name}
		w.suffer(f, row, 2*time.Second)
		rows = append(rows, row)
	}
	w.conclude(rows)
}

// TestChaos draws faults at random for -minutes, and writes a report.
func TestChaos(t *testing.T) {
	if *minutes <= 0 {
		t.Skip("plays for as long as -minutes says")
	}
	drawn := cmp.Or(*seed, uint64(time.Now().UnixNano()))
	t.Logf("play it again with -seed %d", drawn)
	random := rand.New(rand.NewPCG(drawn, 1))
	w := startSystem(t).begin()
	w.goesOn()
	list := slices.DeleteFunc(allFaults(), func(f fault) bool { return !strings.Contains(f.name, *only) })
	if len(list) == 0 {
		t.Fatalf("no fault has %q in its name", *only)
	}
	rows := make([]*suffered, len(list))
	for i, f := range list {
		rows[i] = &suffered{name: f.name}
	}
	for end := time.Now().Add(time.Duration(*minutes) * time.Minute); time.Now().Before(end); {
		i := random.IntN(len(list))
		w.suffer(list[i], rows[i], time.Second+time.Duration(random.Int64N(int64(4*time.Second))))
	}
	w.conclude(rows)
}

// suffer lets a fault happen and waits until all goes on.
func (w *work) suffer(f fault, row *suffered, held time.Duration) {
	w.t.Helper()
	if row.notHere = !f.do(w, held); row.notHere {
		w.t.Logf("%s: cannot be had here", f.name)
		return
	}
	step := w.goesOn()
	row.times++
	row.step = max(row.step, step)
	for _, v := range w.list {
		w.take(v, row)
	}
	w.t.Logf("%s: went on after %s, %d requests lost while the proxy was up", f.name, step.Round(time.Millisecond), row.lost)
}

// take notes the requests of a service that were lost since it was last called.
func (w *work) take(v *service, row *suffered) {
	for _, x := range v.load.outside(w.programs["proxy"]) {
		row.lost++
		row.losses = append(row.losses, v.name+": "+x.why)
	}
}

// conclude ends the work and checks what there is.
func (w *work) conclude(rows []*suffered) {
	w.t.Helper()
	ended := make(chan struct{})
	go func() { w.end(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * goesOnWithin):
		w.t.Fatal("the last deployments do not end")
	}
	violations := w.violations()
	var sent int64
	lostDown, last := 0, &suffered{name: "the end"}
	for _, v := range w.list {
		w.take(v, last) // between the last fault and the end
		sent, lostDown = sent+v.load.sent.Load(), lostDown+v.load.down
	}
	rows = append(rows, last)
	var text strings.Builder
	fmt.Fprintf(&text, "| fault | times | requests lost while the proxy was up | longest until each service had a step again |\n| --- | --- | --- | --- |\n")
	for _, row := range rows {
		switch {
		case row.notHere:
			fmt.Fprintf(&text, "| %s | cannot be had here | | |\n", row.name)
		case row.times > 0:
			fmt.Fprintf(&text, "| %s | %d | %d | %s |\n", row.name, row.times, row.lost, row.step.Round(10*time.Millisecond))
		}
		for _, loss := range row.losses[:min(len(row.losses), 5)] {
			w.t.Errorf("%s: a request was lost: %s", row.name, loss)
		}
	}
	times, down := w.programs["proxy"].downTime()
	fmt.Fprintf(&text, "\n%d deployments, %d requests, %d violations. The proxy was down %d times, for %s in all; %d requests were lost then or in the second after.\n",
		w.count(`SELECT count(*) FROM orchestrator.deployments`), sent, len(violations), times, down.Round(10*time.Millisecond), lostDown)
	if _, cut := w.failed(); cut > 0 {
		fmt.Fprintf(&text, "The runtime was killed while it started a task %d times; another task took its place.\n", cut)
	}
	for _, v := range violations {
		w.t.Error(v)
		fmt.Fprintf(&text, "- %s\n", v)
	}
	w.t.Log("\n" + text.String())
	if *report != "" {
		if err := os.WriteFile(*report, []byte(text.String()), 0o644); err != nil {
			w.t.Error(err)
		}
	}
}
