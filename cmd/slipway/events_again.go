package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func newEventsRedeliver(c *cli) *cobra.Command {
	var events []string
	var since, until string
	var delivered bool
	cmd := &cobra.Command{
		Use:   "redeliver [SUBSCRIPTION]",
		Short: "Send dead letters to their subscribers again",
		Example: `  slipway events redeliver failures
  slipway events redeliver --since 2h
  slipway events redeliver failures --event 0b9c5d3e-5c1f-8a41-9d0e-3f6f0e7c2a11`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hookspb.RedeliverEventsRequest{
				RequestId: requestID(), Subscription: strings.Join(args, ""), EventIds: events, IncludeDelivered: delivered,
			}
			if len(args) == 0 && len(events) == 0 && since == "" && until == "" {
				return usagef(cmd, "SUBSCRIPTION, --event, --since or --until is needed")
			}
			var err error
			if req.StartTime, err = c.moment(cmd, "--since", since); err != nil {
				return err
			}
			if req.EndTime, err = c.moment(cmd, "--until", until); err != nil {
				return err
			}
			return c.redeliver(cmd, req)
		},
	}
	cmd.Flags().StringArrayVar(&events, "event", nil, "only this event; may be given again")
	cmd.Flags().StringVar(&since, "since", "", "only events since a time (2026-01-31T12:00:00Z) or for so long (2h)")
	cmd.Flags().StringVar(&until, "until", "", "only events before a time, or so long ago")
	cmd.Flags().BoolVar(&delivered, "include-delivered", false, "send those again too that were delivered")
	return cmd
}

func (c *cli) redeliver(cmd *cobra.Command, req *hookspb.RedeliverEventsRequest) error {
	api, err := c.subscriptions()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	r, err := api.RedeliverEvents(ctx, req)
	if err != nil {
		return err
	}
	return c.show(r, func() error {
		_, err := fmt.Fprintf(c.out, "%d to be sent again\n", r.GetCount())
		return err
	})
}

// moment is a time, or a span before now; nil for none.
func (c *cli) moment(cmd *cobra.Command, flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if span, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(c.now().Add(-span)), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usagef(cmd, "%s is a time as 2026-01-31T12:00:00Z or a span as 2h, not %q", flag, text)
	}
	return timestamppb.New(at), nil
}

func newEventsTestPattern(c *cli) *cobra.Command {
	var pattern, event string
	var anyEvent bool
	cmd := &cobra.Command{
		Use:   "test-pattern",
		Short: "Say whether an event matches an event pattern",
		Long: `Says whether an event matches an event pattern, as Amazon EventBridge's TestEventPattern does. Both are JSON, or
@FILE. Exits with 0 when it matches and with 1 when it does not.`,
		Example: `  slipway events test-pattern --pattern '{"source":["aws.ecs"]}' --event @event.json
  slipway events test-pattern --pattern '{"n":[{"numeric":[">",1]}]}' --event '{"n":2}' --any-event`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if pattern == "" || event == "" {
				return usagef(cmd, "--pattern and --event are needed")
			}
			req := &hookspb.TestEventPatternRequest{AnyEvent: anyEvent}
			var err error
			if req.EventPattern, err = textOrFile(c, pattern); err != nil {
				return err
			}
			if req.Event, err = textOrFile(c, event); err != nil {
				return err
			}
			return c.testPattern(cmd, req)
		},
	}
	cmd.Flags().StringVar(&pattern, "pattern", "", "the event pattern, or @FILE")
	cmd.Flags().StringVar(&event, "event", "", "the event, or @FILE")
	cmd.Flags().BoolVar(&anyEvent, "any-event", false, "take any JSON object as the event")
	return cmd
}

func (c *cli) testPattern(cmd *cobra.Command, req *hookspb.TestEventPatternRequest) error {
	api, err := c.subscriptions()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	r, err := api.TestEventPattern(ctx, req)
	if err != nil {
		return err
	}
	err = c.show(r, func() error {
		if r.GetResult() {
			_, err := fmt.Fprintln(c.out, "the event matches")
			return err
		}
		return nil
	})
	if err == nil && !r.GetResult() {
		return &fault.Exit{Code: 1, Text: "the event does not match"}
	}
	return err
}
