package faults

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	runtimepb "github.com/slipway-deploy/slipway/gen/go/slipway/runtime/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
)

// system is a whole Slipway: two orchestrators, every other service once, PostgreSQL. All but the test's own connections go through
// Toxiproxy.
type system struct {
	t        *testing.T
	dir      string
	network  *network
	postgres *postgresdev.Server
	db       *pgxpool.Pool // the test's own
	programs map[string]*program
	routes   string // the proxy's folder
	pgDisk   *disk  // nil when no disk can be mounted here
	rtDisk   *disk

	deployments []orchestratorpb.DeploymentServiceClient // of each orchestrator
	services    orchestratorpb.ServiceServiceClient
	definitions orchestratorpb.TaskDefinitionServiceClient
	groups      healthcheckpb.TargetGroupServiceClient
	hooks       hookspb.HookServiceClient
	runtime     runtimepb.RuntimeServiceClient
	traffic     trafficpb.TrafficServiceClient
}

func startSystem(t *testing.T) *system {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-faults-system-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL runs as another user
		t.Fatal(err)
	}
	t.Cleanup(func() {
		endTasks() // when every program has ended
		_ = os.RemoveAll(dir)
	})
	s := &system{t: t, dir: dir, programs: map[string]*program{}, routes: filepath.Join(dir, "routes"), network: newNetwork(t)}
	s.pgDisk, s.rtDisk = mount(t, filepath.Join(dir, "postgres"), 1500), mount(t, s.routes, 1)
	s.startPostgres()
	t.Cleanup(func() { _ = s.postgres.Stop(context.Background()) })
	if s.db, err = pgxpool.New(t.Context(), s.postgres.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	s.startPrograms()
	s.connect()
	return s
}

// startPostgres starts the server, also after it was killed, on the same port.
func (s *system) startPostgres() {
	s.t.Helper()
	var err error
	eventually(s.t, time.Minute, "PostgreSQL to start", func() bool {
		s.postgres, err = postgresdev.Start(s.t.Context(), filepath.Join(s.dir, "postgres"), slog.New(slog.DiscardHandler))
		return err == nil
	})
}

func (s *system) startPrograms() {
	s.t.Helper()
	at, _, _ := strings.Cut(strings.SplitAfter(s.postgres.URL(), "@")[1], "/")
	database := "DATABASE_URL=" + strings.Replace(s.postgres.URL(), at, s.network.through("postgres", at), 1)
	where, through := map[string]string{}, map[string]string{}
	for _, name := range []string{"orchestrator", "orchestrator-2", "hooks", "healthcheck", "alarms", "proxy", "runtime"} {
		where[name] = freeAddress(s.t)
		through[name] = s.network.through(name, where[name])
	}
	add := func(name, binary string, env ...string) {
		s.programs[name] = newProgram(s.t, s.dir, binary, name, where[name], append(env, database)...)
		s.programs[name].start()
	}
	add("runtime", "runtime", "SLIPWAY_RUNTIME_DIR="+filepath.Join(s.dir, "runtime"))
	add("alarms", "alarms")
	add("healthcheck", "healthcheck")
	add("hooks", "hooks", "SLIPWAY_ORCHESTRATOR_TARGET="+through["orchestrator"], "SLIPWAY_ALARMS_TARGET="+through["alarms"])
	add("proxy", "proxy", "SLIPWAY_ROUTES_DIR="+s.routes, "SLIPWAY_ALARMS_TARGET="+through["alarms"])
	for _, name := range []string{"orchestrator", "orchestrator-2"} {
		add(name, "orchestrator", "SLIPWAY_RUNTIME=remote", "SLIPWAY_RUNTIME_REMOTE_TARGET="+through["runtime"],
			"SLIPWAY_HOOKS_TARGET="+through["hooks"], "SLIPWAY_HEALTHCHECK_TARGET="+through["healthcheck"],
			"SLIPWAY_ALARMS_TARGET="+through["alarms"], "SLIPWAY_TRAFFIC_TARGET="+through["proxy"])
	}
}

func (s *system) connect() {
	s.t.Helper()
	dial := func(name string) *grpcConn {
		conn, err := grpcclient.Dial(grpcclient.Config{Target: s.programs[name].address, Name: "test-" + name})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	one, two := dial("orchestrator"), dial("orchestrator-2")
	s.deployments = []orchestratorpb.DeploymentServiceClient{
		orchestratorpb.NewDeploymentServiceClient(one), orchestratorpb.NewDeploymentServiceClient(two),
	}
	s.services, s.definitions = orchestratorpb.NewServiceServiceClient(one), orchestratorpb.NewTaskDefinitionServiceClient(one)
	s.groups, s.hooks = healthcheckpb.NewTargetGroupServiceClient(dial("healthcheck")), hookspb.NewHookServiceClient(dial("hooks"))
	s.runtime, s.traffic = runtimepb.NewRuntimeServiceClient(dial("runtime")), trafficpb.NewTrafficServiceClient(dial("proxy"))
}
