package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/follow"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func newEvents(c *cli) *cobra.Command {
	var e eventReader
	var goOn bool
	cmd := &cobra.Command{
		Use:   "events [SERVICE]",
		Short: "Show what happened to services and deployments",
		Example: `  slipway events web
  slipway events web -f
  slipway events --deployment d-7 --tail 0`,
		Args: atMostOne(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.tail < 0 {
				return usagef(cmd, "--tail must not be negative")
			}
			a, err := c.connect()
			if err != nil {
				return err
			}
			e.cli, e.api, e.service, e.seen = c, a, strings.Join(args, ""), map[string]int64{}
			if goOn {
				return e.follow(cmd.Context())
			}
			ctx, cancel := c.call(cmd.Context())
			defer cancel()
			events, err := e.list(ctx)
			if err != nil {
				return err
			}
			events = e.last(events)
			return c.show(&orchestratorpb.ListEventsResponse{Events: events}, func() error { return e.write(events) })
		},
	}
	cmd.Flags().BoolVarP(&goOn, "follow", "f", false, "go on as events happen")
	cmd.Flags().StringVar(&e.deployment, "deployment", "", "only those of this deployment")
	cmd.Flags().IntVar(&e.tail, "tail", 50, "how many of the last events to begin with; 0 for all")
	cmd.AddCommand(newEventsRedeliver(c), newEventsTestPattern(c))
	return cmd
}

// eventReader reads events, each once: sequences have no gap, so it knows what it has seen.
type eventReader struct {
	cli        *cli
	api        *api
	service    string
	deployment string
	tail       int
	seen       map[string]int64 // the last sequence written, by cluster, service and deployment
}

func eventKey(e *orchestratorpb.Event) string {
	return e.GetCluster() + "/" + e.GetService() + "/" + e.GetDeployment()
}

func (r *eventReader) list(ctx context.Context) ([]*orchestratorpb.Event, error) {
	return pages(0, func(token string) ([]*orchestratorpb.Event, string, error) {
		answer, err := r.api.events.ListEvents(ctx, &orchestratorpb.ListEventsRequest{
			Cluster: r.cli.cluster, Service: r.service, Deployment: r.deployment, PageSize: 1000, PageToken: token,
		})
		return answer.GetEvents(), answer.GetNextPageToken(), err
	})
}

// last leaves as many events as --tail says.
func (r *eventReader) last(events []*orchestratorpb.Event) []*orchestratorpb.Event {
	if r.tail > 0 && len(events) > r.tail {
		return events[len(events)-r.tail:]
	}
	return events
}

// follow writes events until the command is left. It opens the stream before it lists what has been, so that nothing
// falls between the two, and lists again when a sequence shows that something did.
func (r *eventReader) follow(ctx context.Context) error {
	var backoff follow.Backoff
	first, token := true, ""
	for {
		received := false
		err := r.stream(ctx, &token, first, &received)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !follow.Passing(err) || (first && !received) {
			return err
		}
		fmt.Fprintln(r.cli.err, r.cli.trouble(err))
		if received {
			backoff = follow.Backoff{}
		}
		first = false
		if err := backoff.Wait(ctx); err != nil {
			return err
		}
	}
}

// stream writes what one stream brings, after what has been.
func (r *eventReader) stream(ctx context.Context, token *string, first bool, received *bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.api.events.WatchEvents(ctx, &orchestratorpb.WatchEventsRequest{
		Cluster: r.cli.cluster, Service: r.service, Deployment: r.deployment, ResumeToken: *token,
	})
	if err != nil {
		return err
	}
	if err := r.catchUp(ctx, first); err != nil {
		return err
	}
	*received = true
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		*token = answer.GetResumeToken()
		e := answer.GetEvent()
		if e.GetSequence() > r.seen[eventKey(e)]+1 {
			if err := r.catchUp(ctx, false); err != nil {
				return err
			}
		}
		if err := r.writeNew([]*orchestratorpb.Event{e}); err != nil {
			return err
		}
	}
}

// catchUp writes what was not written yet of all that has been; the first time only the tail of it.
func (r *eventReader) catchUp(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	events, err := r.list(ctx)
	if err != nil {
		return err
	}
	if first {
		tail := r.last(events)
		for _, e := range events[:len(events)-len(tail)] {
			r.seen[eventKey(e)] = e.GetSequence()
		}
		events = tail
	}
	return r.writeNew(events)
}

func (r *eventReader) writeNew(events []*orchestratorpb.Event) error {
	var fresh []*orchestratorpb.Event
	for _, e := range events {
		if e.GetSequence() > r.seen[eventKey(e)] {
			r.seen[eventKey(e)] = e.GetSequence()
			fresh = append(fresh, e)
		}
	}
	if r.cli.output == "table" {
		return r.write(fresh)
	}
	for _, e := range fresh {
		if err := r.cli.item(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *eventReader) write(events []*orchestratorpb.Event) error {
	for _, e := range events {
		_, err := fmt.Fprintf(r.cli.out, "%s  %-5s %-12s %-18s %-30s  %s\n", r.cli.clock(e.GetTime().AsTime()), words.Enum(e.GetType()),
			words.Clean(e.GetService()), words.OrDash(e.GetDeployment()), words.Clean(e.GetName()), words.Clean(e.GetReason()))
		if err != nil {
			return err
		}
	}
	return nil
}
