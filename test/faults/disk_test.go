package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// disk is a small file system that can be filled.
type disk struct{ dir string }

// mount makes a disk of so many MB, or nil where that is not allowed.
func mount(t *testing.T, dir string, megabytes int) *disk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil { // PostgreSQL runs as another user
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+itoa(megabytes)+"m"); err != nil {
		t.Logf("no disk can be mounted here, so none is filled: %v", err)
		return nil
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return &disk{dir}
}

// fill takes all that is free, until the function that it returns is called.
func (d *disk) fill(t *testing.T) (free func()) {
	t.Helper()
	path := filepath.Join(d.dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return func() { _ = os.Remove(path) }
}

// fillRoutes fills the disk of the proxy's routes. A service that has its files there is not harmed by that, so another one is made
// meanwhile: it cannot be served before there is room, and must be then.
func (w *work) fillRoutes(held time.Duration) bool {
	w.t.Helper()
	if w.rtDisk == nil {
		return false
	}
	free := w.rtDisk.fill(w.t)
	owner := fmt.Sprintf("faults/nobody-%d", len(w.late)+1)
	if err := w.applyRoutes(owner); !errors.Is(err, problem.ResourceExhausted) {
		w.t.Fatalf("routes on a disk that is full: got %v, want them refused", err)
	}
	late := w.make(fmt.Sprintf("late-%d", len(w.late)+1), &orchestratorpb.DeploymentConfiguration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING,
	})
	w.late = append(w.late, late.made[0])
	rest(held)
	if conn, err := net.Dial("tcp", late.listener); err == nil {
		_ = conn.Close()
		w.t.Fatal("a service is served whose routes could not be saved")
	}
	free()
	w.must(w.applyRoutes(owner))
	eventually(w.t, goesOnWithin, late.name+" to be live", func() bool { return w.finished(late.made[0]) })
	if got, why := ask(newClient(), late.listener); got != late.version {
		w.t.Fatalf("%s is answered by %s %s", late.name, got, why)
	}
	_, err := w.services.DeleteService(w.t.Context(), &orchestratorpb.DeleteServiceRequest{Service: late.name, Force: true})
	w.must(err)
	return true
}

// applyRoutes gives the proxy the first routes of nobody's service, which need files.
func (w *work) applyRoutes(owner string) error {
	_, err := w.traffic.ApplyRoutes(w.t.Context(), &trafficpb.ApplyRoutesRequest{Generation: 1, Routes: &trafficpb.Routes{Service: owner}})
	return err
}

// fillPostgres fills the disk of the database, which may give up: then it is started again when there is room.
func (w *work) fillPostgres(held time.Duration) bool {
	w.t.Helper()
	if w.pgDisk == nil {
		return false
	}
	free := w.pgDisk.fill(w.t)
	ctx, cancel := context.WithTimeout(context.Background(), held+20*time.Second)
	defer cancel()
	if _, err := w.db.Exec(ctx, `CREATE TABLE more AS SELECT repeat('x', 2000) FROM generate_series(1, 20000)`); err == nil {
		w.t.Fatal("there is room on a disk that is full")
	}
	rest(held)
	free()
	for ctx.Err() == nil {
		if w.db.Ping(ctx) == nil {
			return true
		}
		rest(100 * time.Millisecond)
	}
	_ = w.postgres.Stop(context.Background())
	w.startPostgres()
	return true
}
