package test

import (
	"testing"

	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
)

// The four stories end as they must and lose no request.
func TestStories(t *testing.T) {
	s := startStack(t, stack.Config{})
	e := env(t, s.Addresses)
	for _, story := range stories.All() {
		t.Run(story.Name, func(t *testing.T) {
			r := story.Play(t.Context(), e)
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Requests < 100 {
				t.Fatalf("only %d requests were sent: the story proves nothing", r.Requests)
			}
			t.Logf("%s: %s after %s, %d requests, %d lost, %s from failure to safe", r.Story, r.Outcome, r.Duration, r.Requests, r.Lost, r.FailureToSafe)
		})
	}
}
