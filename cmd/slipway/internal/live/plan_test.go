package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/gantt"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestThePictureOfAPlanFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]PlanView{
		"steps": {Width: 110, Color: true}, "rolling": {Width: 80, ASCII: true}, "deadlock": {Width: 72},
	} {
		data, err := os.ReadFile(filepath.Join("..", "gantt", "testdata", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		r := &orchestratorpb.PlanDeploymentResponse{}
		if err := protojson.Unmarshal(data, r); err != nil {
			t.Fatal(err)
		}
		v.Chart = gantt.New(r)
		lines := Plan(v)
		golden(t, "plan_"+name, strings.ReplaceAll(strings.Join(lines, "\n")+"\n", "\x1b", "␛"))
		v.Color = false
		for _, l := range Plan(v) {
			if width(l) > v.Width {
				t.Errorf("%s: %d columns in %q", name, width(l), l)
			}
		}
	}
}
