package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata instead of comparing with it")

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func setup(t *testing.T) (*store.Store, *postgres.DB) {
	t.Helper()
	db := postgrestest.New(t, "orchestrator", orchestrator.FS)
	return store.New(db), db
}

// create saves a service with its first deployment pending.
func create(t *testing.T, s *store.Store, name string) rollout.State {
	t.Helper()
	config := rollout.DefaultConfig()
	state := rollout.NewService(nil, "default", name, rollout.Spec{TaskDefinition: "web:1", DesiredCount: 1, Config: config})
	state.Service.Generation++
	err := s.InTx(t.Context(), func(tx pgx.Tx) error { return s.ServiceInsert(t.Context(), tx, state.Service, []byte("spec"), epoch) })
	if err != nil {
		t.Fatal(err)
	}
	return deploy(t, s, state, name+"-d1", false)
}

func deploy(t *testing.T, s *store.Store, state rollout.State, id string, supersede bool) rollout.State {
	t.Helper()
	request := rollout.DeployRequest{ID: id, TaskDefinition: "web:1", Config: rollout.DefaultConfig(), Supersede: supersede}
	cmd, err := rollout.Deploy(state, request, epoch)
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, store.Change{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended})
	return cmd.Next
}

func mustSave(t *testing.T, s *store.Store, changes ...store.Change) {
	t.Helper()
	saved, err := s.Save(t.Context(), changes)
	if err != nil || len(saved) != len(changes) {
		t.Fatalf("saved %v of %d: %v", saved, len(changes), err)
	}
}

// step is the decision that starts a pending deployment, which says an event.
func step(state rollout.State) store.Change {
	d := rollout.Decide(state, rollout.Observation{Runtime: rollout.RuntimeFacts{Known: true}}, epoch.Add(time.Second))
	return store.Change{Next: d.Next, Events: d.Events}
}

func TestOfTwoSaversOneLosesAndItsEventsAreNotWritten(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	web, shop := create(t, s, "web"), create(t, s, "shop")
	mustSave(t, s, step(web))
	saved, err := s.Save(t.Context(), []store.Change{step(web), step(shop)})
	if err != nil {
		t.Fatal(err)
	}
	if saved[store.Key{Cluster: "default", Name: "web"}] || !saved[store.Key{Cluster: "default", Name: "shop"}] {
		t.Errorf("saved %v", saved)
	}
	started := map[string]int{}
	for _, e := range eventsAtLast(t, s, 4) {
		if e.Event.Name == rollout.EventDeploymentInProgress {
			started[e.Service]++
		}
	}
	if started["web"] != 1 || started["shop"] != 1 {
		t.Errorf("deployments began as often as %v: the loser's events were written, or the winner's were not", started)
	}
	got, err := s.ServiceGet(t.Context(), "default", "web")
	if err != nil || got.State.Service.Generation != step(web).Next.Service.Generation {
		t.Errorf("generation %d: %v", got.State.Service.Generation, err)
	}
}

func events(t *testing.T, s *store.Store) []store.EventRow {
	t.Helper()
	list, err := s.EventList(t.Context(), store.EventFilter{}, store.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// eventsAtLast reads until there are n events: an open transaction of any database of the server holds readers back.
func eventsAtLast(t *testing.T, s *store.Store, n int) []store.EventRow {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := s.EventList(t.Context(), store.EventFilter{}, store.Position{}, 2000)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) >= n {
			return list
		}
		select {
		case <-deadline.C:
			t.Fatalf("%d events, want %d", len(list), n)
		case <-tick.C:
		}
	}
}

func TestWhatIsSavedIsRead(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	change := step(create(t, s, "web"))
	mustSave(t, s, change)
	got, err := s.ServiceGet(t.Context(), "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	want, err1 := json.Marshal(change.Next)
	have, err2 := json.Marshal(got.State)
	if err1 != nil || err2 != nil || !bytes.Equal(want, have) {
		t.Errorf("read\n%s\nsaved\n%s", have, want)
	}
	if again := rollout.Decide(
		got.State,
		rollout.Observation{Runtime: rollout.RuntimeFacts{Known: true}},
		epoch.Add(time.Second),
	); again.Changed &&
		len(again.Events) > 0 {
		t.Errorf("the state that was read decides otherwise than the one that was saved: %+v", again.Events)
	}
	if all, err := s.ServicesActive(t.Context(), nil); err != nil || len(all) != 1 {
		t.Errorf("%d active services: %v", len(all), err)
	}
}

func TestASupersededDeploymentAndItsSuccessorAreOneSave(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	state := deploy(t, s, create(t, s, "web"), "web-d2", true)
	old, err := s.DeploymentGet(t.Context(), "web-d1")
	if err != nil || old.Deployment.State != rollout.Stopped || old.Deployment.SupersededBy != "web-d2" {
		t.Errorf("%+v: %v", old.Deployment, err)
	}
	got, err := s.ServiceGet(t.Context(), "default", "web")
	if err != nil || got.State.Deployment.ID != "web-d2" || state.Service.RevisionCount != 2 {
		t.Errorf("%+v: %v", got.State.Deployment, err)
	}
	list, err := s.DeploymentList(t.Context(), store.DeploymentFilter{Service: "web"}, 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d deployments: %v", len(list), err)
	}
	revisions, err := s.RevisionList(t.Context(), "default", "web", 0, 10)
	if err != nil || len(revisions) != 2 || revisions[0].Number != 2 {
		t.Errorf("%+v: %v", revisions, err)
	}
}

// The schema itself allows one deployment at work for a service.
func TestTwoDeploymentsAtWorkAreRefusedByTheSchema(t *testing.T) {
	t.Parallel()
	s, db := setup(t)
	create(t, s, "web")
	_, err := db.Pool.Exec(t.Context(), `INSERT INTO deployments (id, cluster, service, generation, state, rollout_state, body, create_time)
		VALUES ('other', 'default', 'web', 9, 'IN_PROGRESS', 'IN_PROGRESS', '{}', now())`)
	if !errors.Is(postgres.Classify(err), problem.AlreadyExists) {
		t.Errorf("%v", err)
	}
}

func TestAReaderSkipsNoEventOfATransactionThatCommitsLate(t *testing.T) {
	t.Parallel()
	s, db := setup(t)
	insert := `INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time)
		VALUES ('default', 'web', '', $1, 'INFO', 'X', '', '{}', now())`
	early, err := db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Exec(t.Context(), insert, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), insert, 2); err != nil {
		t.Fatal(err)
	}
	if list := events(t, s); len(list) != 0 {
		t.Errorf("%d events are read while an earlier transaction is open", len(list))
	}
	if err := early.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	list := eventsAtLast(t, s, 2)
	if list[0].Event.Sequence != 1 {
		t.Fatalf("%+v", list)
	}
	rest, err := s.EventList(t.Context(), store.EventFilter{}, list[0].Position, 10)
	if err != nil || len(rest) != 1 || rest[0].Event.Sequence != 2 {
		t.Errorf("after the first: %+v: %v", rest, err)
	}
}

// Transaction numbers are compared as numbers, not as text.
func TestEventsAreInOrderAcrossManyTransactions(t *testing.T) {
	t.Parallel()
	s, db := setup(t)
	const n = 1100 // more than a power of ten of transactions
	for i := 1; i <= n; i++ {
		_, err := db.Pool.Exec(t.Context(), `INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time)
			VALUES ('default', 'web', '', $1, 'INFO', 'X', '', '{}', now())`, i)
		if err != nil {
			t.Fatal(err)
		}
	}
	eventsAtLast(t, s, n)
	var after store.Position
	want := int64(1)
	for {
		list, err := s.EventList(t.Context(), store.EventFilter{}, after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if e.Event.Sequence != want {
				t.Fatalf("event %d follows %d", e.Event.Sequence, want-1)
			}
			want++
			after = e.Position
		}
	}
	if want != n+1 {
		t.Errorf("%d events, want %d", want-1, n)
	}
}

func TestRevisionsOfATaskDefinitionAreConsecutive(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	var mu sync.Mutex
	var got []int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			err := s.InTx(t.Context(), func(tx pgx.Tx) error {
				row, err := s.TaskDefinitionRegister(t.Context(), tx, "web", []byte("x"), epoch)
				mu.Lock()
				defer mu.Unlock()
				got = append(got, row.Revision)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	slices.Sort(got)
	for i, revision := range got {
		if int(revision) != i+1 {
			t.Fatalf("%v", got)
		}
	}
}

func TestADeletedServiceGoesOnWithItsGenerationWhenCreatedAgain(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	state := create(t, s, "web")
	again := rollout.NewService(&state.Service, "default", "web", state.Service.Spec)
	again.Service.Generation++
	insert := func() error {
		return s.InTx(t.Context(), func(tx pgx.Tx) error { return s.ServiceInsert(t.Context(), tx, again.Service, []byte("new"), epoch) })
	}
	if err := insert(); !errors.Is(err, problem.AlreadyExists) {
		t.Errorf("a service that lives was created again: %v", err)
	}
	gone := state
	gone.Deployment, gone.Service.Phase = nil, rollout.Inactive
	gone.Service.Generation++
	mustSave(t, s, store.Change{Next: gone})
	again.Service.Generation = gone.Service.Generation + 1
	if err := insert(); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationsUpDownUp(t *testing.T) {
	t.Parallel()
	if err := postgrestest.UpDownUp(t, "orchestrator", orchestrator.FS); err != nil {
		t.Fatal(err)
	}
}

// The states are the same in Go, in the contract and in the schema.
func TestStatesAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	schema, err := orchestrator.FS.ReadFile("000001_orchestrator.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	states := names(rollout.DeploymentStates())
	rollouts := []string{string(rollout.RolloutInProgress), string(rollout.RolloutCompleted), string(rollout.RolloutFailed)}
	phases := []string{string(rollout.Active), string(rollout.Draining), string(rollout.Inactive)}
	types := []string{string(rollout.Info), string(rollout.Warn), string(rollout.Error)}
	for _, c := range []struct {
		column string
		want   []string
		enum   protoreflect.EnumDescriptor
	}{
		{"state", states, orchestratorpb.Deployment_State(0).Descriptor()},
		{"rollout_state", rollouts, orchestratorpb.Deployment_RolloutState(0).Descriptor()},
		{"phase", phases, orchestratorpb.Service_State(0).Descriptor()},
		{"type", types, orchestratorpb.Event_Type(0).Descriptor()},
		{"", names(rollout.Stages()), orchestratorpb.LifecycleStage(0).Descriptor()},
		{"", []string{"ROLLING", "BLUE_GREEN", "LINEAR", "CANARY", "STEPS"}, orchestratorpb.DeploymentConfiguration_Strategy(0).Descriptor()},
		{"", []string{"AWAITING_ACTION", "IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT"}, orchestratorpb.LifecycleHookStatus_Status(0).Descriptor()},
	} {
		if got := enumNames(c.enum); !slices.Equal(got, c.want) {
			t.Errorf("%s: the contract has %v, Go has %v", c.enum.FullName(), got, c.want)
		}
		if c.column == "" {
			continue
		}
		check := regexp.MustCompile(`(?s)\b` + c.column + `\s+text NOT NULL CHECK \(` + c.column + ` IN \((.*?)\)\)`).FindSubmatch(schema)
		if check == nil {
			t.Errorf("the schema has no CHECK of %s", c.column)
			continue
		}
		var got []string
		for _, m := range regexp.MustCompile(`'(\w+)'`).FindAllSubmatch(check[1], -1) {
			got = append(got, string(m[1]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: the schema has %v, Go has %v", c.column, got, c.want)
		}
	}
}

func names[T ~string](list []T) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// enumNames is an enum's values without their prefix and without the unspecified one.
func enumNames(e protoreflect.EnumDescriptor) []string {
	var out []string
	prefix := strings.TrimSuffix(string(e.Values().Get(0).Name()), "UNSPECIFIED")
	for i := 1; i < e.Values().Len(); i++ {
		out = append(out, strings.TrimPrefix(string(e.Values().Get(i).Name()), prefix))
	}
	return out
}

// The state is kept as JSON under the names of the Go fields: renaming one loses what was saved. A change of this file needs
// a migration of the rows, or a field that reads the old name.
func TestTheShapeOfTheSavedStateIsPinned(t *testing.T) {
	t.Parallel()
	config := rollout.DefaultConfig()
	config.Strategy, config.Steps = rollout.Canary, rollout.CanarySteps(100, time.Minute)
	config.Hooks = []rollout.Hook{{Hook: "h", Stages: []rollout.Stage{rollout.PreScaleUp}, Timeout: time.Minute, TimeoutAction: rollout.OnTimeoutRollback}}
	spec := rollout.Spec{TaskDefinition: "web:1", DesiredCount: 2, Config: config, LoadBalancer: &rollout.LoadBalancer{
		TargetGroup: "a", AlternateTargetGroup: "b", ProductionListener: "127.0.0.1:80", TestListener: "127.0.0.1:81",
	}}
	state := rollout.NewService(nil, "default", "web", spec)
	cmd, err := rollout.Deploy(state, rollout.DeployRequest{ID: "d-1", TaskDefinition: "web:1", Config: config}, epoch)
	if err != nil {
		t.Fatal(err)
	}
	observed := rollout.Observation{
		Runtime: rollout.RuntimeFacts{Known: true}, Health: rollout.HealthFacts{Known: true}, Hooks: rollout.HookFacts{Known: true},
	}
	next := rollout.Decide(cmd.Next, observed, epoch).Next
	got, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/state.json"
	if *rewrite {
		if err := os.WriteFile(file, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%s\n", got) != string(want) {
		t.Errorf("the saved state has another shape:\n%s", got)
	}
}
