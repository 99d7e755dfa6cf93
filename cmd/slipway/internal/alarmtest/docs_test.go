package alarmtest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/alarmtest"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
)

var block = regexp.MustCompile("(?s)```yaml\n# ([a-z.]+): [^\n]*\n(.*?)```")

// The files in docs/alarms.md are right, and their tests pass.
func TestTheFilesOfTheManual(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/alarms.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte(m[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := alarmtest.Read(filepath.Join(dir, "alarms.test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	met, differences, err := f.Run(alarmtest.Evaluator{Test: alarms.TestAlarm, Children: alarms.Children})
	if err != nil || len(differences) > 0 || met != 6 {
		t.Errorf("%d met, %v, %v", met, differences, err)
	}
}
