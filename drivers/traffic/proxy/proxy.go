// Package proxy drives a data plane that serves slipway.traffic.v1: the built-in proxy, or any other. Its client is to
// come from platform/grpcclient, which sets deadlines, retries (every call is idempotent) and makes problems of statuses.
package proxy

import (
	"context"
	"fmt"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/drivers/traffic/wire"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
)

// Driver is the traffic port over gRPC.
type Driver struct {
	client trafficpb.TrafficServiceClient
}

var _ traffic.Traffic = (*Driver)(nil)

// New returns a driver of the data plane that the client calls.
func New(client trafficpb.TrafficServiceClient) *Driver { return &Driver{client: client} }

// Apply replaces a service's routes; see traffic.Traffic.
func (d *Driver) Apply(ctx context.Context, generation int64, routes traffic.Routes) error {
	if err := routes.Validate(); err != nil {
		return err // the contract has no room for an unknown protocol or a weight beyond its range
	}
	if _, err := d.client.ApplyRoutes(ctx, &trafficpb.ApplyRoutesRequest{Generation: generation, Routes: wire.RoutesPB(routes)}); err != nil {
		return fmt.Errorf("apply routes: %w", err)
	}
	return nil
}

// Delete removes a service's routes; see traffic.Traffic.
func (d *Driver) Delete(ctx context.Context, generation int64, service string) error {
	if _, err := d.client.DeleteRoutes(ctx, &trafficpb.DeleteRoutesRequest{Generation: generation, Service: service}); err != nil {
		return fmt.Errorf("delete routes: %w", err)
	}
	return nil
}

// Watch streams what is in force; see traffic.Traffic.
func (d *Driver) Watch(ctx context.Context, f func(traffic.Update)) error {
	stream, err := d.client.WatchRoutes(ctx, &trafficpb.WatchRoutesRequest{})
	for err == nil {
		var m *trafficpb.WatchRoutesResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		update := traffic.Update{Snapshot: m.GetSnapshot(), Removed: m.GetRemovedServices()}
		for _, applied := range m.GetServices() {
			update.Services = append(update.Services, wire.Applied(applied))
		}
		f(update)
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the watch was ended, it did not break
	}
	return fmt.Errorf("watch routes: %w", err)
}
