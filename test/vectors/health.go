package main

import (
	"context"
	"fmt"
	"strings"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
)

// taskHealthRow has a letter for each essential container with a check: H healthy, U unhealthy, ? unknown.
type taskHealthRow struct {
	EssentialWithCheck string `json:"essential_with_check"`
	Task               string
}

func taskHealth(ctx context.Context, p *api, r taskHealthRow) error {
	req := &healthcheckpb.TestTaskHealthRequest{}
	for _, letter := range r.EssentialWithCheck {
		health, known := map[rune]healthcheckpb.Health{
			'H': healthcheckpb.Health_HEALTH_HEALTHY, 'U': healthcheckpb.Health_HEALTH_UNHEALTHY, '?': healthcheckpb.Health_HEALTH_UNKNOWN,
		}[letter]
		if !known {
			return fmt.Errorf("unknown health %q", letter)
		}
		req.Containers = append(req.Containers, &healthcheckpb.TestTaskHealthRequest_Container{HasHealthCheck: true, Health: health})
	}
	got, err := p.targetGroups.TestTaskHealth(ctx, req)
	if err != nil {
		return err
	}
	return differs("task", strings.TrimPrefix(got.GetHealth().String(), "HEALTH_"), r.Task)
}
