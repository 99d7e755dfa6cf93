package grpcapi_test

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// state reads what is saved of a service.
func (e *env) state(name string) rollout.State {
	e.t.Helper()
	a, err := e.store.ServiceGet(e.t.Context(), "default", name)
	if err != nil {
		e.t.Fatal(err)
	}
	return a.State
}

// save changes what is saved of a service, as the engine would, and tells the readers.
func (e *env) save(name string, change func(*rollout.State) []rollout.Event) rollout.State {
	e.t.Helper()
	s := e.state(name)
	events := change(&s)
	s.Service.Generation++
	var ids []string
	if d := s.Deployment; d != nil {
		d.UpdateTime = d.UpdateTime.Add(time.Second)
		if d.State.Terminal() && d.FinishTime.IsZero() {
			d.FinishTime = d.UpdateTime
		}
		ids = append(ids, d.ID)
	}
	saved, err := e.store.Save(e.t.Context(), []store.Change{{Next: s, Events: events}})
	key := store.Key{Cluster: s.Service.Cluster, Name: name}
	if err != nil || !saved[key] {
		e.t.Fatalf("save %s: %v, %v", name, saved, err)
	}
	e.engine.Published(ids...)
	return s
}

// said makes the next event of the deployment at work.
func said(s *rollout.State, name string) rollout.Event {
	d := s.Deployment
	d.EventSequence++
	return rollout.Event{Deployment: d.ID, Sequence: d.EventSequence, Type: rollout.Info, Name: name, Reason: name, Time: epoch}
}

// finish ends the deployment at work: the new revision is live.
func (e *env) finish(name string) rollout.State {
	e.t.Helper()
	return e.save(name, func(s *rollout.State) []rollout.Event {
		d := s.Deployment
		d.State, d.RolloutState = rollout.Successful, rollout.RolloutCompleted
		s.Service.Current = d.Target.ID
		s.Service.Completed = &rollout.Completed{Revision: d.Target, Deployment: d.ID}
		set := rollout.TaskSet{ID: name + "-1", Revision: d.Target, Count: s.Service.Spec.DesiredCount, Tasks: []rollout.Task{
			{Name: name + "-1-1", CreateTime: epoch, RunningTime: epoch, Address: "127.0.0.1:20001", Healthy: true, EverHealthy: true},
		}}
		if lb := s.Service.Spec.LoadBalancer; lb != nil {
			set.TargetGroup = lb.TargetGroup
		}
		s.Service.TaskSets = []rollout.TaskSet{set}
		return []rollout.Event{said(s, rollout.EventDeploymentCompleted)}
	})
}

// dump is every row of the tables, to see whether anything was written.
func (e *env) dump(tables ...string) string {
	e.t.Helper()
	if len(tables) == 0 {
		tables = []string{"clusters", "task_definitions", "deployment_configs", "services", "deployments", "service_revisions", "events", "requests"}
	}
	var all strings.Builder
	for _, table := range tables {
		rows, err := e.db.Pool.Query(e.t.Context(), "SELECT t::text FROM "+table+" t ORDER BY 1")
		if err != nil {
			e.t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			e.t.Fatal(err)
		}
		all.WriteString(table + "\n" + strings.Join(lines, "\n") + "\n")
	}
	return all.String()
}
