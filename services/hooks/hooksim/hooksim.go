// Package hooksim is the core of the hooks service for simulations: the real decisions about invocations, without a database
// or a network, on one clock. What handlers answer, and when, is the simulation's.
package hooksim

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Reply is something that a handler, or the way to it, does with a call.
type Reply struct {
	After   time.Duration
	Attempt int    // that it answers; 0 for the one that was called
	Status  string // a hookStatus; "" when no answer came and Error says why
	Error   string
}

// Hooks is the invocations.
type Hooks struct {
	Handle  func(call *hookspb.Invocation) []Reply // what becomes of a call; no reply: silence
	Changed func(*hookspb.Invocation)

	mu          sync.Mutex
	closed      bool
	generations map[string]int64 // highest seen, by service
	invocations map[string]*entry
}

type entry struct {
	invocation.Invocation
	timer *time.Timer
	asked *hookspb.Invocation
}

// New returns hooks without invocations.
func New() *Hooks {
	return &Hooks{generations: map[string]int64{}, invocations: map[string]*entry{}}
}

// callTimeout is that of a hook's definition.
const callTimeout = 5 * time.Second

// callBackDelay is what handlers ask for that are not done.
var callBackDelay = time.Second

// Invoke begins an invocation, or returns the one of the same id.
func (h *Hooks) Invoke(generation int64, asked *hookspb.Invocation) (*hookspb.Invocation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fence(asked.GetService(), generation); err != nil {
		return nil, err
	}
	if have := h.invocations[asked.GetId()]; have != nil {
		return have.message(), nil
	}
	spec := invocation.Spec{
		ID: asked.GetId(), Service: asked.GetService(), Deployment: asked.GetDeployment(), Stage: asked.GetLifecycleStage(),
		Step: int(asked.GetStep()), Contract: invocation.ECS, Timeout: asked.GetTimeout().AsDuration(),
		TimeoutAction: invocation.OnTimeoutRollback,
	}
	if asked.GetTimeoutAction() == hookspb.Invocation_TIMEOUT_ACTION_CONTINUE {
		spec.TimeoutAction = invocation.OnTimeoutContinue
	}
	if asked.GetContract() == hookspb.Contract_CONTRACT_CODEDEPLOY {
		spec.Contract = invocation.CodeDeploy
	}
	i, err := invocation.New(spec, invocation.Hook{Name: asked.GetHook(), CallTimeout: callTimeout, MaxAttempts: 3}, time.Now())
	if err != nil {
		return nil, problem.Invalid("invocation", "%s", err)
	}
	e := &entry{Invocation: i, asked: asked}
	h.invocations[i.ID] = e
	h.settle(e, invocation.Due{})
	return e.message(), nil
}

// Cancel ends an invocation that nobody waits for.
func (h *Hooks) Cancel(generation int64, id string) (*hookspb.Invocation, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.invocations[id]
	if e == nil {
		return nil, problem.New(problem.NotFound, "INVOCATION_NOT_FOUND", "there is no invocation %s", id)
	}
	if err := h.fence(e.Service, generation); err != nil {
		return nil, err
	}
	h.settle(e, invocation.Cancel{})
	return e.message(), nil
}

func (h *Hooks) fence(service string, generation int64) error {
	if generation < h.generations[service] {
		return problem.New(problem.Aborted, "STALE_GENERATION", "generation %d of service %s has been seen", h.generations[service], service)
	}
	h.generations[service] = generation
	return nil
}

// settle lets the core decide on an event, and arranges what comes of it. The lock is held.
func (h *Hooks) settle(e *entry, event invocation.Event) {
	before := e.Invocation
	d := invocation.Decide(e.Invocation, event, time.Now())
	e.Invocation = d.Next
	if d.Next.State != before.State || d.Next.Attempt != before.Attempt || d.Next.Reason != before.Reason {
		h.Changed(e.message())
	}
	if d.Call {
		h.call(e, d.Next.Attempt)
	}
	if e.timer != nil {
		e.timer.Stop()
		e.timer = nil
	}
	at := e.WakeAt()
	if d.Call || e.Open && e.NextAttempt.IsZero() { // on its way: the call's own time-out ends it
		at = e.Deadline
	}
	if !at.IsZero() && !e.State.Terminal() {
		e.timer = h.after(time.Until(at), func() { h.settle(e, invocation.Due{}) })
	}
}

func (h *Hooks) call(e *entry, attempt int) {
	for _, r := range h.Handle(e.message()) {
		of := r.Attempt
		if of == 0 {
			of = attempt
		}
		h.after(r.After, func() {
			if r.Status == "" {
				h.settle(e, invocation.Unanswered{Attempt: of, Error: r.Error})
			} else {
				h.settle(e, invocation.Answered{Attempt: of, Answer: invocation.Answer{Status: r.Status, Delay: &callBackDelay}})
			}
		})
	}
	h.after(callTimeout, func() { h.settle(e, invocation.Unanswered{Attempt: attempt, Error: "no answer in time", Begun: true}) })
}

// after calls f under the lock, later, unless it is over by then.
func (h *Hooks) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if !h.closed {
			f()
		}
	})
}

// Read calls f with every invocation and lets nothing change meanwhile.
func (h *Hooks) Read(f func([]*hookspb.Invocation)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*hookspb.Invocation, 0, len(h.invocations))
	for _, e := range h.invocations {
		list = append(list, e.message())
	}
	f(list)
}

// Close ends all that would still happen.
func (h *Hooks) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

func (e *entry) message() *hookspb.Invocation {
	return &hookspb.Invocation{
		Id: e.ID, Hook: e.Hook.Name, Service: e.Service, Deployment: e.Deployment, LifecycleStage: e.Stage, Step: int32(e.Step),
		State:   hookspb.Invocation_State(hookspb.Invocation_State_value["STATE_"+string(e.State)]),
		Outcome: hookspb.Invocation_Outcome(hookspb.Invocation_Outcome_value["OUTCOME_"+string(e.Outcome)]),
		Reason:  e.Reason, Attempt: int32(e.Attempt), DeadlineTime: timestamppb.New(e.Deadline), CreateTime: timestamppb.New(e.CreateTime),
	}
}
