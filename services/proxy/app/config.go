package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/platform/grpcclient"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
)

// Config says where the proxy is controlled, where it keeps its routes and whom it tells its metrics.
type Config struct {
	Listen    grpcserver.Config `flag:"" env:""`
	RoutesDir string            `flag:"routes-dir" env:"SLIPWAY_ROUTES_DIR" default:"/var/lib/slipway/proxy" help:"folder of the last good routes"`
	// InsecureListeners allows listeners that other machines can reach.
	InsecureListeners bool              `flag:"insecure-listeners" env:"SLIPWAY_INSECURE_LISTENERS" help:"allow listeners, which speak plain HTTP, on any address"`
	Alarms            grpcclient.Config `flag:"alarms" env:"SLIPWAY_ALARMS"`
	MetricsPeriod     time.Duration     `flag:"metrics-period" env:"SLIPWAY_METRICS_PERIOD" default:"1s" help:"how often request metrics are pushed to alarms"`
	MetricsAddr       string            `flag:"metrics" env:"SLIPWAY_METRICS" help:"address to serve /metrics on; empty serves none"`

	DialTimeout time.Duration `flag:"dial-timeout" env:"SLIPWAY_DIAL_TIMEOUT" default:"2s" help:"for a connection to a target"`
	// ResponseHeaderTimeout does not hold for GRPC target groups: calls have deadlines.
	ResponseHeaderTimeout time.Duration `flag:"response-timeout" env:"SLIPWAY_RESPONSE_TIMEOUT" default:"60s" help:"for a target to answer; negative for none"`
	// TargetIdleTimeout should be below the targets' own, or a request may meet a connection that is being closed.
	TargetIdleTimeout time.Duration `flag:"target-idle" env:"SLIPWAY_TARGET_IDLE" default:"4s" help:"for an unused connection to a target"`
	ClientIdleTimeout time.Duration `flag:"client-idle" env:"SLIPWAY_CLIENT_IDLE" default:"6m" help:"for a client's unused connection"`
	ReadHeaderTimeout time.Duration `flag:"header-timeout" env:"SLIPWAY_HEADER_TIMEOUT" default:"10s" help:"for a client's request header"`
	MaxHeaderBytes    int           `flag:"max-header-bytes" env:"SLIPWAY_MAX_HEADER_BYTES" default:"65536" help:"the longest request header"`
	Version           string        `flag:"-"`
}

// Default is the configuration with the usual addresses.
func Default() Config {
	return Config{
		Listen:        grpcserver.Config{Addr: "127.0.0.1:7005"},
		Alarms:        grpcclient.Config{Target: "127.0.0.1:7004"},
		MetricsPeriod: time.Second,
	}
}

// Validate reports every rule that is broken. No Alarms.Target means that no metrics are pushed.
func (c Config) Validate() error {
	errs := []error{c.Listen.Validate()}
	want := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if c.Alarms.Target != "" {
		errs = append(errs, c.Alarms.Validate())
	}
	want(c.RoutesDir != "", "routes-dir: is needed")
	want(c.MetricsPeriod >= 100*time.Millisecond, "metrics-period: must be at least 100ms, is %s", c.MetricsPeriod)
	for name, d := range map[string]time.Duration{
		"dial-timeout": c.DialTimeout, "target-idle": c.TargetIdleTimeout,
		"client-idle": c.ClientIdleTimeout, "header-timeout": c.ReadHeaderTimeout,
	} {
		want(d >= 0, "%s: must not be negative, is %s", name, d)
	}
	want(c.MaxHeaderBytes == 0 || c.MaxHeaderBytes >= 4096, "max-header-bytes: must be at least 4096, is %d", c.MaxHeaderBytes)
	return errors.Join(errs...)
}
