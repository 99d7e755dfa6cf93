package runtime_test

import (
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// The rows of the ECS documentation, then the borders: essential containers with a check.
func TestTheHealthOfATaskIsThatOfItsCheckedContainers(t *testing.T) {
	t.Parallel()
	const h, u, x = runtime.Healthy, runtime.Unhealthy, runtime.Unknown
	type list = []runtime.Health
	for _, row := range []struct {
		containers list
		want       runtime.Health
	}{
		{list{u, x}, u},
		{list{u, h}, u},
		{list{h, x}, x},
		{list{h, h}, h},
		{list{u, x, x}, u},
		{list{u, x, h}, u},
		{list{u, h, h}, u},
		{list{h, x, h}, x},
		{list{h, x, x}, x},
		{list{h, h, h}, h},
		{list{x, h, u}, u},
		{list{h}, h},
		{nil, x},
	} {
		ignored := []runtime.CheckedContainer{{Essential: true, Health: x}, {HasCheck: true, Health: u}} // no check, not essential
		containers := ignored
		for _, health := range row.containers {
			containers = append(containers, runtime.CheckedContainer{Essential: true, HasCheck: true, Health: health})
		}
		if got := runtime.TaskHealth(containers); got != row.want {
			t.Errorf("%v: got %s, want %s", row.containers, got, row.want)
		}
	}
}
