package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/table"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func newSubscriptions(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscriptions",
		Short: "List those who subscribe to events, subscribe, and show what was delivered",
		Example: `  slipway subscriptions
  slipway subscriptions put failures --https https://hooks.example.com/slipway --secret-file secret.txt
  slipway subscriptions deliveries failures --state dead-letter`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listSubscriptions(cmd) },
	}
	cmd.AddCommand(newSubscriptionsList(c), newSubscriptionsPut(c), newSubscriptionsDelete(c), newSubscriptionsDeliveries(c))
	return cmd
}

// subscriptions prepares the client. Nothing goes over the network before the first call.
func (c *cli) subscriptions() (hookspb.SubscriptionServiceClient, error) {
	if _, err := c.connect(); err != nil {
		return nil, err
	}
	return hookspb.NewSubscriptionServiceClient(c.conns[hooksName]), nil
}

func newSubscriptionsList(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List subscriptions with what waits and what was given up", Example: "  slipway subscriptions list", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listSubscriptions(cmd) },
	}
}

func (c *cli) listSubscriptions(cmd *cobra.Command) error {
	api, err := c.subscriptions()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	list, err := pages(0, func(token string) ([]*hookspb.Subscription, string, error) {
		r, err := api.ListSubscriptions(ctx, &hookspb.ListSubscriptionsRequest{PageSize: 100, PageToken: token})
		return r.GetSubscriptions(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	for n, s := range list { // a list has no counts
		if r, err := api.GetSubscription(ctx, &hookspb.GetSubscriptionRequest{Name: s.GetName()}); err == nil {
			list[n] = r.GetSubscription()
		}
	}
	return c.show(&hookspb.ListSubscriptionsResponse{Subscriptions: list}, func() error {
		t := table.New("SUBSCRIPTION", "TARGET", "FORMAT", "WAITING", "DEAD", "PATTERN")
		for _, s := range list {
			t.Row(s.GetName(), target(s), words.Enum(s.GetFormat()), fmt.Sprint(s.GetPendingCount()), fmt.Sprint(s.GetDeadLetterCount()),
				words.OrDash(s.GetEventPattern()))
		}
		return t.Write(c.out)
	})
}

// target says where events go, in one word or two.
func target(s *hookspb.Subscription) string {
	switch to := s.GetTarget().(type) {
	case *hookspb.Subscription_Https:
		return to.Https.GetUrl()
	case *hookspb.Subscription_GrpcStream:
		return "gRPC stream"
	case *hookspb.Subscription_Sns:
		return to.Sns.GetTopicArn()
	case *hookspb.Subscription_EventBridge:
		return "event bus " + to.EventBridge.GetEventBusName()
	}
	return "-"
}

func newSubscriptionsDelete(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Delete a subscription with what waits for it and its dead letters",
		Example: "  slipway subscriptions delete failures",
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := c.subscriptions()
			if err != nil {
				return err
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			r, err := api.DeleteSubscription(ctx, &hookspb.DeleteSubscriptionRequest{RequestId: requestID(), Name: args[0]})
			if err != nil {
				return err
			}
			return c.show(r, func() error {
				_, err := fmt.Fprintf(c.out, "subscription %s is deleted\n", words.Clean(args[0]))
				return err
			})
		},
	}
}

func newSubscriptionsDeliveries(c *cli) *cobra.Command {
	var state, event string
	var limit int
	cmd := &cobra.Command{
		Use:   "deliveries [NAME]",
		Short: "Show what was sent, what waits and what was given up, newest first",
		Example: `  slipway subscriptions deliveries failures
  slipway subscriptions deliveries --state dead-letter`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &hookspb.ListDeliveriesRequest{Subscription: strings.Join(args, ""), EventId: event}
			if state != "" {
				value, ok := hookspb.Delivery_State_value["STATE_"+strings.ReplaceAll(strings.ToUpper(state), "-", "_")]
				if !ok || value == 0 {
					return usagef(cmd, "--state is pending, delivered or dead-letter, not %q", state)
				}
				req.State = hookspb.Delivery_State(value)
			}
			if limit < 1 {
				return usagef(cmd, "--limit must be at least 1")
			}
			return c.listDeliveries(cmd, req, limit)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only pending, delivered or dead-letter")
	cmd.Flags().StringVar(&event, "event", "", "only of this event")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many to list")
	return cmd
}

func (c *cli) listDeliveries(cmd *cobra.Command, req *hookspb.ListDeliveriesRequest, limit int) error {
	api, err := c.subscriptions()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	list, err := pages(limit, func(token string) ([]*hookspb.Delivery, string, error) {
		req.PageSize, req.PageToken = int32(min(limit, 100)), token
		r, err := api.ListDeliveries(ctx, req)
		return r.GetDeliveries(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return c.show(&hookspb.ListDeliveriesResponse{Deliveries: list}, func() error {
		t := table.New("EVENT TIME", "SUBSCRIPTION", "STATE", "TRIES", "EVENT", "WHAT", "ABOUT", "REASON")
		for _, d := range list {
			t.Row(c.clock(d.GetEventTime().AsTime()), d.GetSubscription(), words.Enum(d.GetState()), fmt.Sprint(d.GetAttempts()), d.GetEventId(),
				d.GetDetailType(), d.GetOrderKey(), words.OrDash(d.GetReason()))
		}
		return t.Write(c.out)
	})
}
