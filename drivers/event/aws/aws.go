// Package aws is what the senders to Amazon's services share: one client for each region and endpoint, credentials of
// the environment, and no retries of its own.
package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"github.com/slipway-deploy/slipway/drivers/event"
)

// maxClients bounds how many clients are kept.
const maxClients = 256

// Clients makes and keeps the clients of one of Amazon's services.
type Clients[C any] struct {
	http *event.Client
	load func(ctx context.Context) (sdk.Config, error)
	make func(cfg sdk.Config, endpoint *string) C

	mu   sync.Mutex
	base *sdk.Config
	of   map[place]C
}

type place struct{ region, endpoint string }

// NewClients returns an empty set of clients. Region, credentials and whatever else is read once, when the first client
// is made, as the AWS SDK does: the environment, the shared files, the metadata of the machine.
func NewClients[C any](http *event.Client, build func(cfg sdk.Config, endpoint *string) C) *Clients[C] {
	return &Clients[C]{
		http: http, make: build, of: make(map[place]C),
		load: func(ctx context.Context) (sdk.Config, error) { return config.LoadDefaultConfig(ctx) },
	}
}

// Of returns the client for a target.
func (c *Clients[C]) Of(ctx context.Context, to event.Target) (client C, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{to.Region, to.Endpoint}
	if have, ok := c.of[at]; ok {
		return have, nil
	}
	if c.base == nil {
		loaded, err := c.load(ctx)
		if err != nil {
			return client, fmt.Errorf("read AWS's configuration: %w", err)
		}
		c.base = &loaded
	}
	cfg := c.base.Copy()
	cfg.HTTPClient = c.http
	cfg.Retryer = func() sdk.Retryer { return sdk.NopRetryer{} }
	if to.Region != "" {
		cfg.Region = to.Region
	}
	if cfg.Region == "" {
		return client, errors.New("no AWS region is set, neither by the subscription nor by the environment")
	}
	var endpoint *string
	if to.Endpoint != "" {
		endpoint = &to.Endpoint
	}
	if len(c.of) >= maxClients {
		clear(c.of)
	}
	client = c.make(cfg, endpoint)
	c.of[at] = client
	return client, nil
}

// Judge is the result of a call that failed. A message that is refused for what it is stays refused.
func Judge(ctx context.Context, err error) event.Result {
	if errors.Is(err, event.ErrNotLoopback) {
		return event.Refused("%s", event.ErrNotLoopback)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return event.Failed("no answer in time")
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return event.Failed("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return event.Failed("%s", err)
}
