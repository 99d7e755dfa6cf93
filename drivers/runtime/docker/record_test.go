package docker

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestLabelsTellAllThatADriverMustKnowAndNoSecret(t *testing.T) {
	t.Parallel()
	want := runningRecord(runtime.Container{
		Name: "app", Essential: true, StopTimeout: time.Second, Ports: []runtime.Port{{Name: "http", ContainerPort: 80}},
		HealthCheck: &runtime.HealthCheck{Command: []string{"CMD", "true"}, Interval: time.Second},
	})
	want.Task.State, want.Task.RunningTime = runtime.Pending, time.Time{}
	secret := want
	secret.Containers = slices.Clone(want.Containers)
	secret.Containers[0].Environment = map[string]string{"PASSWORD": "hunter2"}
	labels := secret.labels("slipway", 0)
	for key, value := range labels {
		if strings.Contains(value, "hunter2") {
			t.Errorf("label %s tells a secret", key)
		}
	}
	if labels[specHashLabel] != want.labels("slipway", 0)[specHashLabel] {
		t.Error("the hash tells of the environment")
	}
	got, err := recordOf(labels, "local")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if id := want.identity("slipway"); !id.owns(labels) || want.identity("other").owns(labels) || id.owns(nil) {
		t.Error("a container is not known by its labels")
	}
	other := secret
	other.Containers = slices.Clone(secret.Containers)
	other.Containers[0].Image = "other"
	if labels[specHashLabel] == other.labels("slipway", 0)[specHashLabel] {
		t.Error("another definition has the same hash")
	}
	for _, key := range []string{taskSetLabel, serviceLabel, startTimeLabel, containersLabel, generationLabel} {
		broken := secret.labels("slipway", 0)
		delete(broken, key)
		if _, err := recordOf(broken, "local"); err == nil {
			t.Errorf("read without %s", key)
		}
	}
}

func TestTheNetworkIsThatOfTheFirstEssentialContainer(t *testing.T) {
	t.Parallel()
	r := runningRecord(runtime.Container{Name: "init"}, runtime.Container{Name: "app", Essential: true}, runtime.Container{Name: "log", Essential: true})
	if got := r.inOrder(); !slices.Equal(got, []int{1, 0, 2}) {
		t.Errorf("got %v", got)
	}
}

func TestALimitOfCPUIsOneTheKernelTakes(t *testing.T) {
	t.Parallel()
	for cpu, want := range map[int]int64{0: 0, 1: 10_000_000, 512: 500_000_000, 1024: 1_000_000_000, 2048: 2_000_000_000} {
		if got := nanoCPUs(cpu); got != want {
			t.Errorf("%d: got %d", cpu, got)
		}
	}
}

func TestAnImageIsPinnedByTheDigestOfItsOwnRepository(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		ref     string
		digests []string
		want    string
	}{
		"its own":            {"registry.example/web:1", []string{"other/web" + digest, "registry.example/web" + digest}, "registry.example/web" + digest},
		"of the default hub": {"docker.io/library/web:1", []string{"web" + digest}, "web" + digest},
		"tagged here":        {"mine:1", []string{"other/web" + digest}, "other/web" + digest},
		"built here":         {"mine:1", nil, "sha256:id"},
	} {
		if got := exactly(c.ref, c.digests, "sha256:id"); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestWhatAnEngineRefusesBecomesOneSentence(t *testing.T) {
	t.Parallel()
	const daemon = "Error response from daemon: "
	for text, want := range map[string]string{
		daemon + "driver failed programming external connectivity on endpoint x (1a): Bind for 127.0.0.1:8080 failed: port is already allocated": "127.0.0.1:8080 of engine a is in use",
		daemon + "failed to set up container networking: failed to bind host port [::1]:8080/tcp: address already in use":                        "[::1]:8080 of engine a is in use",
		daemon + "Bind failed: port is already allocated":               "a host port of it is in use on engine a",
		daemon + "write /var/lib/docker/tmp/x: no space left on device": "the disk of engine a is full",
		daemon + "network shop not found":                               "network shop not found",
		daemon + "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nothing\": stat /nothing: no such file or directory: unknown": "exec: \"/nothing\": stat /nothing: no such file or directory",
		"two\nlines": "two lines",
	} {
		if got, want := sentence("app", "a", errors.New(text)), "container app cannot start: "+want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got := because("a", errors.New(strings.Repeat("é", 1000))); len(got) > 310 || !strings.HasSuffix(got, "é ...") {
		t.Errorf("too long, or cut in a letter: %s", got)
	}
}

func TestOnlyAnEngineThatDidNotAnswerIsAway(t *testing.T) {
	t.Parallel()
	e := &engine{Engine: Engine{Name: "a"}}
	for _, err := range []error{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), io.EOF} {
		if got := e.problem(err); !errors.Is(got, problem.Unavailable) || !away(got) {
			t.Errorf("%v: got %v", err, got)
		}
	}
	answer := errors.New(`Error response from daemon: Get "https://registry.example/v2/": EOF`)
	if got := e.problem(answer); away(got) || !errors.Is(got, answer) {
		t.Errorf("an answer is taken for none: %v", got)
	}
}
