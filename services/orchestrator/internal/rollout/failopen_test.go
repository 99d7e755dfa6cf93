package rollout

import "testing"

// ELB routes to all targets of a group when fewer than minimum_healthy_targets.count of them are healthy.
func TestATargetGroupFailsOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		healthy, minimum int
		closed           bool
		want             int
	}{
		{3, 0, false, 3}, {1, 0, false, 1}, {0, 0, false, 3}, {0, 0, true, 0}, {1, 2, false, 3}, {1, 2, true, 1}, {2, 2, false, 2},
	} {
		lb := testLoadBalancer()
		lb.MinimumHealthy, lb.FailClosed = c.minimum, c.closed
		s := Service{Spec: Spec{LoadBalancer: lb}, TaskSets: []TaskSet{{TargetGroup: "a"}}}
		for i := range 3 {
			s.TaskSets[0].Tasks = append(s.TaskSets[0].Tasks, Task{Name: string(rune('a' + i)), Address: "x", EverHealthy: true, Healthy: i < c.healthy})
		}
		if got := len(s.routed(lb, "a").Targets); got != c.want {
			t.Errorf("%d of 3 healthy, minimum %d, closed %t: %d targets, want %d", c.healthy, c.minimum, c.closed, got, c.want)
		}
	}
}
