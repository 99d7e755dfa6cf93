package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/drivers/metrics/cloudwatch"
	"github.com/slipway-deploy/slipway/drivers/metrics/prometheus"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
)

// Sources says where metrics can be had that nobody pushes. One that is empty is not set up, and alarms on it are refused.
type Sources struct {
	PrometheusURL      string        `flag:"prometheus-url" env:"SLIPWAY_PROMETHEUS_URL" secret:"true" help:"Prometheus server for alarms with the source Prometheus, e.g. http://127.0.0.1:9090 or https://user:password@metrics.example"`
	PrometheusToken    string        `flag:"prometheus-token" env:"SLIPWAY_PROMETHEUS_TOKEN" secret:"true" help:"bearer token for it"`
	PrometheusCA       string        `flag:"prometheus-ca" env:"SLIPWAY_PROMETHEUS_CA" help:"PEM file of the authorities to trust for it; empty trusts the system's"`
	CloudWatchRegion   string        `flag:"cloudwatch-region" env:"SLIPWAY_CLOUDWATCH_REGION" help:"AWS region for alarms with the source CloudWatch; credentials come from where the AWS tools look"`
	CloudWatchEndpoint string        `flag:"cloudwatch-endpoint" env:"SLIPWAY_CLOUDWATCH_ENDPOINT" help:"another address than the region's, e.g. http://127.0.0.1:4566 of an emulator"`
	Timeout            time.Duration `flag:"source-timeout" env:"SLIPWAY_SOURCE_TIMEOUT" default:"10s" help:"how long a source has to answer"`
}

// Validate reports every rule that is broken.
func (s Sources) Validate() error {
	var errs []error
	if s.PrometheusURL == "" && (s.PrometheusToken != "" || s.PrometheusCA != "") {
		errs = append(errs, errors.New("prometheus-url: is needed with prometheus-token and prometheus-ca"))
	}
	if s.CloudWatchRegion == "" && s.CloudWatchEndpoint != "" {
		errs = append(errs, errors.New("cloudwatch-region: is needed with cloudwatch-endpoint"))
	}
	if s.Timeout < time.Second || s.Timeout > 20*time.Second {
		errs = append(errs, errors.New("source-timeout: must be 1s to 20s"))
	}
	return errors.Join(errs...)
}

// open makes the sources that are set up. Nothing goes over the network yet.
func (a *App) open(ctx context.Context, s Sources) (map[series.Source]metrics.Source, error) {
	sources := map[series.Source]metrics.Source{}
	if s.PrometheusURL != "" {
		source, err := prometheus.New(prometheus.Config{URL: s.PrometheusURL, Token: s.PrometheusToken, CACert: s.PrometheusCA, Timeout: s.Timeout})
		if err != nil {
			return nil, fmt.Errorf("prometheus: %w", err)
		}
		a.onClose(func(context.Context) { source.Close() })
		sources[series.Prometheus] = source
	}
	if s.CloudWatchRegion != "" {
		source, err := cloudwatch.New(ctx, cloudwatch.Config{Region: s.CloudWatchRegion, Endpoint: s.CloudWatchEndpoint, Timeout: s.Timeout})
		if err != nil {
			return nil, fmt.Errorf("cloudwatch: %w", err)
		}
		sources[series.CloudWatch] = source
	}
	return sources, nil
}

// Place is what the ARNs in the reasons of composite alarms say. The hooks service has the same settings for its events.
type Place struct {
	Account string `flag:"event-account" env:"SLIPWAY_EVENT_ACCOUNT" default:"000000000000" help:"account in the ARNs of alarms, 12 digits"`
	Region  string `flag:"event-region" env:"SLIPWAY_EVENT_REGION" default:"local" help:"region in the ARNs of alarms"`
}

var (
	accountRule = regexp.MustCompile(`^[0-9]{12}$`)
	regionRule  = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// Validate reports every rule that is broken.
func (p Place) Validate() error {
	var errs []error
	if !accountRule.MatchString(p.Account) {
		errs = append(errs, fmt.Errorf("event-account: must have 12 digits, is %q", p.Account))
	}
	if !regionRule.MatchString(p.Region) {
		errs = append(errs, fmt.Errorf("event-region: must have 1 to 32 small letters, digits or -, is %q", p.Region))
	}
	return errors.Join(errs...)
}

// ARN is an alarm's.
func (p Place) ARN(alarm string) string {
	return "arn:aws:cloudwatch:" + p.Region + ":" + p.Account + ":alarm:" + alarm
}
