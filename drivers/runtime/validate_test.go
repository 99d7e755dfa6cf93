package runtime_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func valid() runtime.TaskSet {
	return runtime.TaskSet{
		ID: "web-1", Service: "prod/web", TaskDefinition: "web:1",
		Containers: []runtime.Container{{Name: "app", Command: []string{"web"}, Essential: true}},
		Tasks:      []string{"web-1-1", "web-1-2"},
	}
}

func TestAValidTaskSetIsAccepted(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	none := valid()
	none.Tasks = nil
	if err := none.Validate(); err != nil {
		t.Fatalf("no tasks: %v", err)
	}
}

func TestValidateNamesTheBrokenField(t *testing.T) {
	cases := []struct {
		field  string
		damage func(*runtime.TaskSet)
	}{
		{"id", func(s *runtime.TaskSet) { s.ID = "../etc" }},
		{"service", func(s *runtime.TaskSet) { s.Service = "" }},
		{"containers", func(s *runtime.TaskSet) { s.Containers = nil }},
		{"containers", func(s *runtime.TaskSet) { s.Containers[0].Essential = false }},
		{"tasks[1]", func(s *runtime.TaskSet) { s.Tasks[1] = s.Tasks[0] }},
		{"tasks[0]", func(s *runtime.TaskSet) { s.Tasks[0] = "a/b" }},
		{"tasks[0]", func(s *runtime.TaskSet) { s.Tasks[0] = strings.Repeat("a", 256) }},
		{"containers[0].name", func(s *runtime.TaskSet) { s.Containers[0].Name = "" }},
		{"containers[1].name", func(s *runtime.TaskSet) { s.Containers = append(s.Containers, s.Containers[0]) }},
		{"containers[0].stop_timeout", func(s *runtime.TaskSet) { s.Containers[0].StopTimeout = -1 }},
		{"containers[0].ports[0].container_port", func(s *runtime.TaskSet) {
			s.Containers[0].Ports = []runtime.Port{{ContainerPort: 65536}}
		}},
		{"containers[0].ports[0].host_port", func(s *runtime.TaskSet) {
			s.Containers[0].Ports = []runtime.Port{{HostPort: -1}}
		}},
		{"containers[0].health_check.command", func(s *runtime.TaskSet) {
			s.Containers[0].HealthCheck = &runtime.HealthCheck{Command: []string{"curl", "localhost"}}
		}},
		{"containers[0].health_check", func(s *runtime.TaskSet) {
			s.Containers[0].HealthCheck = &runtime.HealthCheck{Command: []string{"CMD", "true"}, Retries: -1}
		}},
	}
	for _, c := range cases {
		set := valid()
		c.damage(&set)
		err := set.Validate()
		if !errors.Is(err, problem.InvalidArgument) {
			t.Errorf("%s: got %v, want an invalid argument", c.field, err)
			continue
		}
		if got := problem.As(err).Violations[0].Field; got != c.field {
			t.Errorf("%s: the problem names %s: %v", c.field, got, err)
		}
	}
}

func TestOnlyALowerGenerationIsStale(t *testing.T) {
	for _, generation := range []int64{5, 6} {
		if err := runtime.CheckGeneration("prod/web", generation, 5); err != nil {
			t.Errorf("generation %d after 5: %v", generation, err)
		}
	}
	err := runtime.CheckGeneration("prod/web", 4, 5)
	if !errors.Is(err, problem.Aborted) || problem.ReasonOf(err) != "STALE_GENERATION" {
		t.Errorf("generation 4 after 5: got %v", err)
	}
}
