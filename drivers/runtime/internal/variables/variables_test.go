package variables

import "testing"

func TestOnlyWhatTheRuntimeSetsIsExpanded(t *testing.T) {
	vars := map[string]string{"PORT": "8080", "PORT_HTTP": "8080"}
	for in, want := range map[string]string{
		"-listen=:${PORT}":      "-listen=:8080",
		"$PORT/$PORT_HTTP":      "8080/8080",
		"$PORTS ${PORTS} $$ $1": "$PORTS ${PORTS} $$ $1",
		"echo $HOME ${X:-1}":    "echo $HOME ${X:-1}",
		"${PORT":                "${PORT",
	} {
		if got := Expand(in, vars); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
