package faults

import (
	"context"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// fault is something that goes wrong for a while.
type fault struct {
	name string
	// do breaks something and mends it. It returns false when that cannot be had here.
	do func(w *work, held time.Duration) bool
}

// everything that services reach by the network.
func peers() []string { return []string{"hooks", "healthcheck", "alarms", "proxy", "runtime"} }

func allFaults() []fault {
	list := []fault{
		{"PostgreSQL killed and started again", (*work).killPostgres},
		{"PostgreSQL's connections all taken", (*work).takeConnections},
		{"PostgreSQL's disk full", (*work).fillPostgres},
		{"disk of the proxy's routes full", (*work).fillRoutes},
		{"both orchestrators killed", (*work).killOrchestrators},
		{"proxy killed in the middle of a switch", (*work).killProxyInSwitch},
		{"orchestrator stopped and woken", stopped("orchestrator-2")},
		{"healthcheck stopped and woken", stopped("healthcheck")},
		{"slow way to PostgreSQL", slow("postgres")},
		{"slow way between services", slow(peers()...)},
		{"narrow way to PostgreSQL", toxic("bandwidth", map[string]any{"rate": 100}, "postgres")},
		{"cut way to PostgreSQL", toxic("timeout", map[string]any{"timeout": 0}, "postgres")},
		{"cut way between services", toxic("timeout", map[string]any{"timeout": 0}, peers()...)},
		{"reset connections to PostgreSQL", toxic("reset_peer", map[string]any{"timeout": 50}, "postgres")},
	}
	for _, name := range []string{"orchestrator", "hooks", "healthcheck", "alarms", "proxy", "runtime"} {
		list = append(list, fault{name + " killed", func(w *work, held time.Duration) bool {
			w.programs[name].kill()
			rest(held / 4)
			w.programs[name].start()
			return true
		}})
	}
	return list
}

// rest lets a fault last.
func rest(d time.Duration) { <-time.After(d) }

func slow(ways ...string) func(*work, time.Duration) bool {
	return toxic("latency", map[string]any{"latency": 200, "jitter": 100}, ways...)
}

func toxic(kind string, attributes map[string]any, ways ...string) func(*work, time.Duration) bool {
	return func(w *work, held time.Duration) bool {
		mend := w.network.toxic(kind, attributes, ways...)
		rest(held)
		mend()
		return true
	}
}

func stopped(name string) func(*work, time.Duration) bool {
	return func(w *work, held time.Duration) bool {
		w.programs[name].signal(syscall.SIGSTOP)
		rest(max(held, 3*time.Second)) // past its lease
		w.programs[name].signal(syscall.SIGCONT)
		return true
	}
}

func (w *work) killPostgres(held time.Duration) bool {
	w.t.Helper()
	if err := syscall.Kill(w.postgres.Pid(), syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	rest(held / 4)
	_ = w.postgres.Stop(context.Background()) // what is left of it
	w.startPostgres()
	return true
}

func (w *work) killOrchestrators(held time.Duration) bool {
	w.t.Helper()
	for _, name := range []string{"orchestrator", "orchestrator-2"} {
		w.programs[name].kill()
	}
	rest(held / 4)
	for _, name := range []string{"orchestrator", "orchestrator-2"} {
		w.programs[name].start()
	}
	return true
}

// killProxyInSwitch kills the proxy when traffic is about to move.
func (w *work) killProxyInSwitch(time.Duration) bool {
	w.t.Helper()
	const shifts = `SELECT count(*) FROM orchestrator.events WHERE name = 'LIFECYCLE_STAGE_STARTED' AND detail->>'lifecycleStage' = 'PRODUCTION_TRAFFIC_SHIFT'`
	before := w.count(shifts)
	eventually(w.t, time.Minute, "traffic to be shifted", func() bool { return w.count(shifts) > before })
	w.programs["proxy"].kill()
	w.programs["proxy"].start()
	return true
}

// takeConnections ends the services' sessions and holds all connections that there are.
func (w *work) takeConnections(held time.Duration) bool {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), held+10*time.Second)
	defer cancel()
	mine, err := pgx.Connect(ctx, w.postgres.URL())
	w.must(err)
	defer func() { _ = mine.Close(context.Background()) }()
	var taken []*pgx.Conn
	defer func() {
		for _, conn := range taken {
			_ = conn.Close(context.Background())
		}
	}()
	for end := time.Now().Add(held); time.Now().Before(end); {
		_, err := mine.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> ALL ($1)`, pids(mine, taken))
		w.must(err)
		for {
			conn, err := pgx.Connect(ctx, w.postgres.URL())
			if err != nil {
				break // there are no more
			}
			taken = append(taken, conn)
		}
		rest(50 * time.Millisecond)
	}
	return true
}

func pids(mine *pgx.Conn, taken []*pgx.Conn) []uint32 {
	list := []uint32{mine.PgConn().PID()}
	for _, conn := range taken {
		list = append(list, conn.PgConn().PID())
	}
	return list
}
