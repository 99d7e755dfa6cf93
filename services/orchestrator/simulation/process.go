package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
)

// Fault is something that infrastructure does.
type Fault string

// The faults.
const (
	NoFault     Fault = ""
	CrashBefore Fault = "crash before"
	CrashAfter  Fault = "crash after"
	Lost        Fault = "request lost"
	AnswerLost  Fault = "answer lost"
	Delayed     Fault = "slow"
	Late        Fault = "carried out after its time-out"
	Doubled     Fault = "carried out twice"
	Paused      Fault = "process stopped and woken"
	Broken      Fault = "stream broken"
	LateNews    Fault = "observation late"
	DoubleNews  Fault = "observation doubled"
	LeaseMoved  Fault = "lease changes hands"
)

var (
	errUnreachable = problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "connection refused")
	errDatabase    = problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")
)

// process is one life of one replica. Everything that its engine does to the outside goes through it, so that it can die or
// stand still at any point.
type process struct {
	w       *world
	replica string
	skew    time.Duration
	engine  *engine.Engine
	tenure  *tenure
	dead    chan struct{}

	mu     sync.Mutex
	awake  chan struct{} // closed while it runs
	ended  bool
	once   sync.Once
	cancel context.CancelFunc
}

// boot gives a replica one life after the other; one that cannot start tries again, as a supervisor would.
func (w *world) boot(index int) {
	replica := fmt.Sprintf("replica-%d", index+1)
	for boot := 0; !w.over(); boot++ {
		p := &process{w: w, replica: replica, skew: w.plan.Skew[index], dead: make(chan struct{}), awake: make(chan struct{})}
		close(p.awake)
		cfg := engine.Config{
			Store: (*storage)(p), Runtime: (*runtimeOf)(p), Traffic: (*trafficOf)(p), Health: healthOf{process: p}, Hooks: hooksOf{process: p},
			Alarms: alarmsOf{process: p}, Now: func() time.Time { return time.Now().Add(p.skew) }, Log: slog.New(slog.DiscardHandler),
			Containers: func(context.Context, string) ([]runtime.Container, error) {
				return []runtime.Container{{Name: "app", Essential: true, Ports: []runtime.Port{{ContainerPort: 80}}}}, nil
			},
		}
		if w.plan.Leases {
			p.tenure = &tenure{process: p, table: w.leases}
			cfg.Leases, cfg.Feed = p.tenure, w.database
		}
		p.engine = engine.New(cfg)
		w.trace.add(replica, "starts")
		var ctx context.Context
		ctx, p.cancel = context.WithCancel(w.ctx)
		err := p.engine.Start(ctx)
		if err == nil {
			w.live(index, p)
			if p.tenure != nil {
				p.tenure.begin()
			}
			select {
			case <-p.dead:
			case <-w.ctx.Done():
			}
			w.live(index, nil)
		}
		p.die()
		p.engine.Stop()
		w.sleep(w.ctx, w.dice.between(replica+" restart", 10*time.Millisecond, 3*time.Second))
	}
}

// die ends the process between two instructions: nothing that it does from now on has an effect.
func (p *process) die() {
	p.once.Do(func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		close(p.dead)
		p.cancel()
	})
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// pause stops the process for a while, as SIGSTOP does.
func (p *process) pause(d time.Duration) {
	p.mu.Lock()
	awake := make(chan struct{})
	p.awake = awake
	p.mu.Unlock()
	time.AfterFunc(d, func() {
		p.w.trace.add(p.replica, "wakes up")
		close(awake)
		if p.tenure != nil {
			p.tenure.wakes()
		}
	})
}

// gate lets a process through that runs. A dead one waits for its end, one that stands still for its waking.
func (p *process) gate(ctx context.Context) error {
	for {
		p.mu.Lock()
		awake, ended := p.awake, p.ended
		p.mu.Unlock()
		if ended {
			<-ctx.Done()
			return ctx.Err()
		}
		select {
		case <-awake:
			return nil
		default:
		}
		select {
		case <-awake:
		case <-p.dead:
		case <-p.w.ctx.Done():
			return p.w.ctx.Err()
		}
	}
}

// call is a call to the outside. do carries it out, in one instant; it may be called never, late or twice. safe says that a
// second time is possible: a request that is repeated by the network, not by a database.
func (p *process) call(ctx context.Context, what string, unreachable error, safe bool, do func() error) error {
	if err := p.gate(ctx); err != nil {
		return err
	}
	fault := p.w.fate(p, what, safe)
	switch fault {
	case CrashBefore:
		p.die()
		<-ctx.Done()
		return ctx.Err()
	case Lost:
		return unreachable
	case Delayed:
		p.w.sleep(ctx, p.w.dice.between(p.replica+" delay "+what, 50*time.Millisecond, 4*time.Second))
	case Late:
		p.w.later(p.w.dice.between(p.replica+" late "+what, 5*time.Second, 25*time.Second), func() {
			p.w.trace.add("network", "delivers late: %s of %s", what, p.replica)
			_ = do()
		})
		<-ctx.Done()
		return problem.New(problem.DeadlineExceeded, "", "no answer in time").Wrap(ctx.Err())
	case Paused:
		p.pause(p.w.dice.between(p.replica+" pause "+what, 3*time.Second, 40*time.Second))
	}
	if err := p.gate(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil && !p.w.dice.permille(p.replica+" after its time "+what, 500) {
		return ctx.Err()
	}
	err := do()
	switch fault {
	case CrashAfter:
		p.die()
		<-ctx.Done()
		return ctx.Err()
	case AnswerLost:
		return unreachable
	case Doubled:
		p.w.later(p.w.dice.between(p.replica+" again "+what, time.Millisecond, 20*time.Second), func() {
			p.w.trace.add("network", "delivers again: %s of %s", what, p.replica)
			_ = do()
		})
	}
	return err
}

// arrives is an observation on its way to the process. twice says that it comes again.
func (p *process) arrives(ctx context.Context, what string) (twice bool, err error) {
	if err := p.gate(ctx); err != nil {
		return false, err
	}
	switch p.w.fateOfNews(p, what) {
	case Broken:
		return false, errUnreachable
	case LateNews:
		p.w.sleep(ctx, p.w.dice.between(p.replica+" news "+what, 50*time.Millisecond, 8*time.Second))
	case DoubleNews:
		twice = true
	}
	if err := p.gate(ctx); err != nil {
		return false, err
	}
	return twice, ctx.Err()
}

// live notes which process a replica is, nil for none.
func (w *world) live(index int, p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.processes[index] = p
}

// reachable is the processes that a user's call could reach.
func (w *world) reachable() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.processes), func(p *process) bool { return p == nil || p.isDead() })
}
