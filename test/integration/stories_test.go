package integration

import (
	"testing"

	"github.com/slipway-deploy/slipway/internal/stories"
)

// The four stories, played on containers.
func TestStories(t *testing.T) {
	e := install(t, currentTag).env()
	for _, story := range stories.All() {
		t.Run(story.Name, func(t *testing.T) {
			if r := story.Play(t.Context(), e); r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}
