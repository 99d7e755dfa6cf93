package bench

import (
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
)

type grpcConn = grpc.ClientConn

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(b, err)
	defer l.Close()
	return l.Addr().String()
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
