package process

import (
	"net"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

func TestAPortIsGivenToOneTaskAtATime(t *testing.T) {
	// A range that the system gives to this test: nothing else listens there just now.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	busy := l.Addr().(*net.TCPAddr).Port
	pool := newPortPool(busy, busy)
	if _, err := pool.assign("a", []runtime.Port{{}}); err == nil {
		t.Error("a port was assigned on which another program listens")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := pool.assign("a", []runtime.Port{{}})
	if err != nil || got[0] != busy {
		t.Fatalf("got %v, %v; want %d", got, err, busy)
	}
	if _, err := pool.assign("b", []runtime.Port{{}}); err == nil {
		t.Error("the port was assigned twice")
	}
	pool.release(got)
	if _, err := pool.assign("b", []runtime.Port{{}}); err != nil {
		t.Errorf("a port that was given back is not assigned again: %v", err)
	}
}

func TestAFixedPortHasOneOwnerAndNothingIsHalfAssigned(t *testing.T) {
	pool := newPortPool(defaultMinPort, defaultMaxPort)
	fixed := runtime.Port{HostPort: 4711}
	pool.reserve("a", []int{4711})
	if _, err := pool.assign("b", []runtime.Port{{}, fixed}); err == nil || err.Error() != "port 4711 is already assigned to task a" {
		t.Errorf("got %v", err)
	}
	if len(pool.owner) != 1 {
		t.Errorf("these are assigned: %v", pool.owner)
	}
	if _, err := pool.assign("b", []runtime.Port{fixed, fixed}); err == nil {
		t.Error("a task got one port twice")
	}
	pool.release([]int{4711})
	if got, err := pool.assign("b", []runtime.Port{{}, fixed}); err != nil || got[1] != 4711 || got[0] == 4711 {
		t.Errorf("got %v, %v", got, err)
	}
}
