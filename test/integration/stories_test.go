package integration

import (
	"slices"
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stories"
)

// The four stories, played on containers.
func TestStories(t *testing.T) { //nolint:tparallel // one after the other, on one installation
	t.Parallel()
	e := install(t, currentTag).env()
	for _, story := range stories.All() {
		t.Run(story.Name, func(t *testing.T) {
			if r := story.Play(t.Context(), e); r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}

// A version whose image does not exist says so, and the circuit breaker goes back.
func TestAnImageThatDoesNotExist(t *testing.T) {
	t.Parallel()
	in := install(t, currentTag)
	e := in.env()
	w := create(t, in, e, "web", 8080, &orchestratorpb.DeploymentConfiguration{
		DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true, Rollback: true},
	})
	image := e.Place.Image
	e.Place.Image = "127.0.0.1:1/nobody/nothing:1"
	id := w.deploy(t)
	w.ends(t, id, orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL)
	events, err := orchestratorpb.NewEventServiceClient(in.dial("orchestrator")).ListEvents(t.Context(), &orchestratorpb.ListEventsRequest{Deployment: id})
	check(t, err)
	if !slices.ContainsFunc(events.GetEvents(), func(e *orchestratorpb.Event) bool {
		return strings.Contains(e.GetReason(), "CannotPullContainerError: image 127.0.0.1:1/nobody/nothing:1: ")
	}) {
		t.Errorf("no event says which image cannot be had: %v", events.GetEvents())
	}
	e.Place.Image, w.version = image, w.version-1
	w.answersOnly(t)
}
