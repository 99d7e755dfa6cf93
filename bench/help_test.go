package bench

import (
	"encoding/json"
	"net/http"
	"testing"

	"google.golang.org/grpc"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stories"
)

type grpcConn = grpc.ClientConn

func freeAddress(b *testing.B) string {
	b.Helper()
	address, err := stories.FreeAddress()
	check(b, err)
	return address
}

// pidOf asks the example workload for its pid.
func pidOf(b *testing.B, address string) int {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/", nil)
	check(b, err)
	resp, err := http.DefaultClient.Do(req)
	check(b, err)
	defer resp.Body.Close()
	var answer struct{ Pid int }
	check(b, json.NewDecoder(resp.Body).Decode(&answer))
	return answer.Pid
}

type configuration = orchestratorpb.DeploymentConfiguration
