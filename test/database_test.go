package test

import (
	"path/filepath"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
)

// While Postgres is away the traffic is served untouched and deployments wait; when it is back they go on.
func TestDatabaseAwayInTheMiddleOfADeployment(t *testing.T) {
	dir := filepath.Join(folder(t), "postgres")
	log := logs(t)
	db, err := postgresdev.Start(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Stop(t.Context()) })
	s := startStack(t, stack.Config{DatabaseURL: db.URL()})
	e := env(t, s.Addresses)
	for _, at := range []struct{ story, stage, service string }{
		{"blue-green", "SCALE_UP", "db-1"}, {"blue-green", "POST_TEST_TRAFFIC_SHIFT", "db-2"}, {"blue-green", "BAKE_TIME", "db-3"},
	} {
		t.Run(at.story+" at "+at.stage, func(t *testing.T) {
			away := false
			e.OnEvent = func(event *orchestratorpb.Event) {
				if away || event.GetName() != "LIFECYCLE_STAGE_STARTED" || event.GetDetail()["lifecycleStage"] != at.stage {
					return
				}
				away = true
				url := db.URL()
				if err := db.Stop(t.Context()); err != nil {
					t.Error(err)
				}
				<-time.After(5 * time.Second) // nothing tells that it has been away for long enough
				if db, err = postgresdev.Start(t.Context(), dir, log); err != nil {
					t.Error(err)
				} else if db.URL() != url {
					t.Errorf("the database came back at %s, was at %s", db.URL(), url)
				}
			}
			r := find(t, at.story).Named(at.service).Play(t.Context(), e)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if !away {
				t.Fatal("the database was never away")
			}
		})
	}
}
