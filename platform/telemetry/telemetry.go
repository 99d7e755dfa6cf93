// Package telemetry measures a program: an OpenTelemetry meter provider whose metrics Prometheus reads. It knows
// no metric of any service.
//
// Names are those of the OpenTelemetry semantic conventions in Prometheus spelling, e.g.
// rpc_server_call_duration_seconds{rpc_method="...", rpc_response_status_code="OK"}; target_info names the service.
package telemetry

import (
	"context"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// Telemetry is one program's metrics.
type Telemetry struct {
	// Provider makes meters.
	Provider *sdkmetric.MeterProvider
	// Registry is what /metrics shows: the provider's metrics, the Go runtime's and the process's.
	Registry *prometheus.Registry
}

// New returns the metrics of the service called name. OpenTelemetry's global provider is set by Serve or Install.
func New(name, version string) (*Telemetry, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("make the Prometheus exporter: %w", err)
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(exporter),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", name), attribute.String("service.version", version))),
		sdkmetric.WithView(withoutPeers()),
	)
	return &Telemetry{Provider: provider, Registry: registry}, nil
}

// withoutPeers drops the peer's address and port from the metrics of calls: ports are chosen at random, and each
// would be a series of its own.
func withoutPeers() sdkmetric.View {
	return sdkmetric.NewView(
		sdkmetric.Instrument{Name: "rpc.*"},
		sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("server.address", "server.port", "network.peer.address", "network.peer.port")},
	)
}

// Install makes this the provider that gRPC servers and clients report to, and lets trace contexts cross calls.
// A program does it once; when several services share a program, calls are counted in one of them.
func (t *Telemetry) Install() {
	otel.SetMeterProvider(t.Provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
}

// Meter returns the meter of a part, e.g. "slipway/engine".
func (t *Telemetry) Meter(name string) metric.Meter { return t.Provider.Meter(name) }

// Handler answers Prometheus.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{})
}

// Stop ends the provider.
func (t *Telemetry) Stop(ctx context.Context) error { return t.Provider.Shutdown(ctx) }
