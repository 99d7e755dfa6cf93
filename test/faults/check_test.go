package faults

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
)

// goesOnWithin is how long work may rest after a fault has ended.
const goesOnWithin = 60 * time.Second

// wholeSplit is as many requests as show weights exactly: the proxy sends a thousand as the weights, which are tenths of a percent, say.
const wholeSplit = 1000

// count is a number that the database has, or -1 when it is away.
func (s *system) count(sql string, args ...any) (n int64) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.db.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		return -1
	}
	return n
}

// goesOn waits until each service has a step after now, and then until each has completed a deployment that began after now. It
// returns how long the first took.
func (w *work) goesOn() (step time.Duration) {
	w.t.Helper()
	began := time.Now()
	from, made := map[*service]int64{}, map[*service]int{}
	const events = `SELECT count(*) FROM orchestrator.events WHERE service = $1`
	eventually(w.t, goesOnWithin, "the database to answer", func() bool { return w.count(`SELECT 1`) == 1 })
	for _, v := range w.list {
		ids, _ := v.deployed()
		from[v], made[v] = w.count(events, v.name), len(ids)
	}
	for _, v := range w.list {
		eventually(w.t, goesOnWithin, v.name+" to go on", func() bool { return w.count(events, v.name) > from[v] })
	}
	step = time.Since(began)
	for _, v := range w.list {
		eventually(w.t, goesOnWithin, "a deployment of "+v.name+" to complete", func() bool {
			ids, _ := v.deployed()
			return len(ids) > made[v]+1 || len(ids) > made[v] && w.finished(ids[made[v]])
		})
	}
	return step
}

// violations is what is lost or doubled, when the work has ended.
func (w *work) violations() (list []string) {
	w.t.Helper()
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	all := len(w.late)
	for _, v := range w.list {
		ids, version := v.deployed()
		all += len(ids)
		for _, id := range ids {
			if n := w.count(`SELECT count(*) FROM orchestrator.deployments WHERE id = $1 AND state = 'SUCCESSFUL'`, id); n != 1 {
				add("deployment %s of %s did not succeed, or is lost", id, v.name)
			}
		}
		for range wholeSplit {
			if got, why := ask(http.DefaultClient, v.listener); got != version {
				add("%s is answered by %s %s, not by %s that was deployed last", v.name, got, why, version)
				break
			}
		}
	}
	if n := w.count(`SELECT count(*) FROM orchestrator.deployments WHERE id = ANY ($1) AND state = 'SUCCESSFUL'`, w.late); n != int64(len(w.late)) {
		add("%d services were made on a full disk, %d were deployed", len(w.late), n)
	}
	if n := w.count(`SELECT count(*) FROM orchestrator.deployments`); n != int64(all) {
		add("%d deployments were made, %d are there", all, n)
	}
	for what, sql := range map[string]string{
		"deployments whose events have a gap or a repeat": `SELECT count(*) FROM (SELECT FROM orchestrator.events GROUP BY cluster, service, deployment
			HAVING max(sequence) <> count(*)) x`,
		"deployments that began or ended twice": `SELECT count(*) FROM (SELECT FROM orchestrator.events
			WHERE name IN ('SERVICE_DEPLOYMENT_IN_PROGRESS', 'SERVICE_DEPLOYMENT_COMPLETED') GROUP BY deployment, name HAVING count(*) > 1) x`,
		"tasks that failed twice": `SELECT count(*) FROM (SELECT FROM orchestrator.events WHERE name = 'TASK_FAILED' GROUP BY detail->>'task' HAVING count(*) > 1) x`,
		"invocations of one hook at one stage under two identities": `SELECT count(*) FROM (SELECT FROM hooks.invocations
			GROUP BY deployment, lifecycle_stage, step, hook HAVING count(*) > 1) x`,
		"invocations without the outcome CONTINUE": `SELECT count(*) FROM hooks.invocations WHERE outcome <> 'CONTINUE'`,
	} {
		if n := w.count(sql); n != 0 {
			add("%d %s", n, what)
		}
	}
	failed, _ := w.failed()
	for _, why := range failed {
		add("a task failed: %s", why)
	}
	w.hook.mu.Lock()
	defer w.hook.mu.Unlock()
	for call, ids := range w.hook.called {
		if len(ids) > 1 {
			add("the hook of %s was called under %d identities", call, len(ids))
		}
	}
	return append(list, w.orphans()...)
}

// cutInStart is what the runtime says of a task that it was starting when it was killed. It never starts a name again, so this one
// failed, and another takes its place.
const cutInStart = "the runtime ended while it started the container, and there is no process of it"

// failed is why tasks failed, and how many of them were cut in their start.
func (w *work) failed() (others []string, cut int) {
	w.t.Helper()
	rows, err := w.db.Query(w.t.Context(), `SELECT service || ' at ' || time || ': ' || reason FROM orchestrator.events WHERE name = 'TASK_FAILED'`)
	w.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	w.must(err)
	others = slices.DeleteFunc(slices.Clone(all), func(why string) bool { return strings.HasSuffix(why, cutInStart) })
	return others, len(all) - len(others)
}

// orphans waits until what runs is what is desired, and says what else does.
func (w *work) orphans() []string {
	w.t.Helper()
	want := tasks * len(w.list)
	listed, running := 0, 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); rest(100 * time.Millisecond) {
		listed, running = w.listed(), len(processes(filepath.Join(programs, "web")))
		if listed == want && running == want {
			return nil
		}
	}
	return []string{fmt.Sprintf("%d tasks are desired; the runtime lists %d, and %d processes run", want, listed, running)}
}

func (w *work) listed() int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stream, err := w.runtime.WatchTasks(ctx, &runtimepb.WatchTasksRequest{})
	if err != nil {
		return -1
	}
	snapshot, err := stream.Recv()
	if err != nil {
		return -1
	}
	return len(snapshot.GetTasks())
}

// processes is the processes of a program.
func processes(program string) (pids []int) {
	list, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is right
	for _, link := range list {
		target, err := os.Readlink(link)
		pid, isPid := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err == nil && isPid == nil && strings.TrimSuffix(target, " (deleted)") == program {
			pids = append(pids, pid)
		}
	}
	return pids
}

// endTasks ends what the runtime leaves behind: tasks outlive it.
func endTasks() {
	for _, pid := range processes(filepath.Join(programs, "web")) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
