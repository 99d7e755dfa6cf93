package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDefaultLacksOnlyTheDatabase(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err == nil || err.Error() != "database-url: is needed (or the environment variable DATABASE_URL)" {
		t.Errorf("%v", err)
	}
	cfg.DatabaseURL = "postgres://localhost/slipway"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestEveryProblemIsReported(t *testing.T) {
	err := Config{Grace: -1, Window: 1}.Validate()
	for _, setting := range []string{"listen", "database-url", "workers", "grace", "lease", "circuit-failures", "circuit-open", "retention"} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s is not named in %v", setting, err)
		}
	}
}

func TestAFileOfAuthoritiesMustHoldSome(t *testing.T) {
	cfg := Default()
	cfg.HandlerCA = filepath.Join(t.TempDir(), "ca.pem")
	if _, err := cfg.roots(); err == nil {
		t.Error("a missing file was taken")
	}
	if err := os.WriteFile(cfg.HandlerCA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.roots(); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Errorf("%v", err)
	}
}
