package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Slipway itself is upgraded, a service at a time, in the middle of a deployment: so the previous services run beside the new
// ones, on the schema that the first new one has migrated. Then it goes back, and the previous images find the new schema.
func TestPreviousAndCurrentImagesRunTogether(t *testing.T) {
	t.Parallel()
	require(t)
	buildPrevious(t)
	in := install(t, previousTag)
	e := in.env()
	w := create(t, in, e, "web", 8080, strategies()["canary"])
	for _, tag := range []string{currentTag, previousTag} {
		id := w.deploy(t)
		eventually(t, "the deployment has begun", func() (bool, error) {
			d, err := w.get(t.Context(), id)
			return d.GetState() == orchestratorpb.Deployment_STATE_IN_PROGRESS, err
		})
		for _, s := range services {
			in.service(s.name, tag)
		}
		w.ends(t, id, orchestratorpb.Deployment_STATE_SUCCESSFUL)
		w.answersOnly(t)
	}
}

// buildPrevious builds the images of the release before, or of the commit before where there is none yet; PREVIOUS names
// another.
func buildPrevious(t *testing.T) {
	t.Helper()
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = "../.."
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	revision := os.Getenv("PREVIOUS")
	if revision == "" {
		var err error
		if revision, err = git("describe", "--tags", "--abbrev=0", "HEAD^"); err != nil {
			revision = "HEAD^"
		}
	}
	if _, err := git("rev-parse", "--verify", "--quiet", revision+"^{commit}"); err != nil {
		t.Skipf("the history has no %s to build the previous images from", revision)
	}
	tree := filepath.Join(t.TempDir(), "previous")
	if _, err := git("worktree", "add", "--detach", tree, revision); err != nil {
		t.Fatalf("check out %s: %v", revision, err)
	}
	t.Cleanup(func() {
		cmd := exec.Command("git", "worktree", "remove", "--force", tree)
		cmd.Dir = "../.."
		_ = cmd.Run()
	})
	env := []string{"IMAGE_TAG=" + previousTag, "SOURCE=" + tree}
	if _, err := script(env, "scripts/build-images", "alarms", "healthcheck", "hooks", "proxy", "orchestrator"); err != nil {
		t.Fatalf("build the images of %s: %v", revision, err)
	}
}
