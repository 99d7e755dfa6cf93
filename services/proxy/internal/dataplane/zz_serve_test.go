package dataplane

import (
	"os"
	"testing"
	"time"
)

func TestZZServe(t *testing.T) {
	if os.Getenv("BACKEND") == "" {
		t.Skip()
	}
	b := newTestbed(t, Config{})
	b.address = os.Getenv("LISTEN")
	b.apply(all(groupOf("blue", os.Getenv("PROTO"), open(os.Getenv("BACKEND")))))
	d, _ := time.ParseDuration(os.Getenv("FOR"))
	<-time.After(d)
}
