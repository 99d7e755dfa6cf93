package app

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/proxy"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// childDir makes the test program a proxy on that folder, which prints its address and runs until it is killed.
const childDir = "SLIPWAY_TEST_PROXY_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := runChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func runChild(dir string) error {
	cfg := Config{Listen: grpcserver.Config{Addr: "127.0.0.1:0"}, RoutesDir: dir, MetricsPeriod: time.Second}
	a, err := New(context.Background(), cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if err := a.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(a.Addr())
	select {}
}

// child is a proxy that runs as a process of its own.
type child struct {
	cmd *exec.Cmd
	log *strings.Builder
	// address is the one it is controlled on.
	address string
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{log: &strings.Builder{}}
	c.cmd = exec.Command(os.Args[0])
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	c.cmd.Stderr = c.log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the proxy did not start: %v", err)
	}
	c.address = strings.TrimSpace(line)
	return c
}

// TestKillingTheProxyNeverLosesItsRoutes kills the proxy at random moments while routes are applied as fast as can be.
// After each restart it serves the last generation that was confirmed, or the one that was under way.
func TestKillingTheProxyNeverLosesItsRoutes(t *testing.T) {
	const kills = 25
	dir := t.TempDir()
	web, stop := webTarget()
	defer stop()
	listen := freeAddress(t)
	confirmed := int64(0)
	for n := range kills {
		c := startChild(t, dir)
		driver := driveOnce(t, c.address)
		found := generation(t, driver)
		if found < confirmed {
			t.Fatalf("after kill %d generation %d is in force, %d was confirmed; log:\n%s", n, found, confirmed, c.log)
		}
		if confirmed > 0 {
			if err := expect(http.DefaultClient, http.MethodGet, "http://"+listen, nil, "ok"); err != nil {
				t.Fatalf("after kill %d: %v", n, err)
			}
		}
		last, err := applyUntilKilled(driver, found, listen, web, func() {
			time.AfterFunc(time.Duration(rand.IntN(20))*time.Millisecond, func() { _ = c.cmd.Process.Kill() })
		})
		_ = c.cmd.Wait()
		if last == found {
			t.Fatalf("no generation was confirmed: %v; log:\n%s", err, c.log)
		}
		confirmed = last
	}
	t.Logf("%d generations were confirmed over %d kills", confirmed, kills)
}

// driveOnce returns a driver that does not try again.
func driveOnce(t *testing.T, address string) *proxy.Driver {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return proxy.New(trafficpb.NewTrafficServiceClient(conn))
}

// generation is what is in force for the service; 0 for nothing.
func generation(t *testing.T, driver traffic.Traffic) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	found := int64(0)
	err := driver.Watch(ctx, func(u traffic.Update) {
		for _, s := range u.Services {
			found = s.Generation
		}
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// applyUntilKilled applies one generation after the other, calls begun when the first was confirmed, and returns the last
// that was and the error of the one that was not.
func applyUntilKilled(driver traffic.Traffic, from int64, listen, target string, begun func()) (confirmed int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for g := from + 1; ; g++ {
		err := driver.Apply(ctx, g, traffic.Routes{
			Service:      "shop/web",
			Listeners:    []traffic.Listener{{Name: "production", Address: listen, Forward: []traffic.WeightedTargetGroup{{TargetGroup: "web", Weight: 1000}}}},
			TargetGroups: []traffic.TargetGroup{{Name: "web", Targets: open(fmt.Sprint("task-", g), target)}},
		})
		if err != nil {
			return g - 1, err
		}
		if g == from+1 {
			begun()
		}
	}
}
