package main

import (
	"context"
	"errors"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// eventPatternRow has the pattern and the event as text, so that repeated keys and spellings of numbers survive. Its error tells a
// person why a pattern is not valid; the wording is not compared.
type eventPatternRow struct{ Pattern, Event, Result string }

func matchEventPattern(ctx context.Context, p *api, r eventPatternRow) error {
	got, err := p.subscriptions.TestEventPattern(ctx, &hookspb.TestEventPatternRequest{EventPattern: r.Pattern, Event: r.Event, AnyEvent: true})
	result := "nomatch"
	switch {
	case errors.Is(err, problem.InvalidArgument):
		result = "invalid"
	case err != nil:
		return err
	case got.GetResult():
		result = "match"
	}
	if result != r.Result && err != nil {
		return errors.Join(differs("result", result, r.Result), err)
	}
	return differs("result", result, r.Result)
}
