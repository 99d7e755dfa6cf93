package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// subscribing is the flags of subscriptions put.
type subscribing struct {
	pattern, format              string
	https, secretFile, sns, bus  string
	stream, newSecret, keepAsAWS bool
	region, endpoint             string
	age, call                    time.Duration
	retries                      int32
}

func newSubscriptionsPut(c *cli) *cobra.Command {
	var s subscribing
	cmd := &cobra.Command{
		Use:   "put NAME",
		Short: "Subscribe to events, or change a subscription",
		Long: `Subscribes to the events that match a pattern of Amazon EventBridge; without one, to all events.

Events go to an HTTPS endpoint, signed as Standard Webhooks says; to programs that call StreamEvents; to an
Amazon SNS topic; or to an Amazon EventBridge event bus. --pattern takes @FILE. The secrets that HTTPS events
are signed with stay as they are when neither --secret-file nor --new-secret is given.`,
		Example: `  slipway subscriptions put failures --https https://hooks.example.com/slipway --new-secret \
      --pattern '{"source":["aws.ecs"],"detail":{"eventName":["SERVICE_DEPLOYMENT_FAILED"]}}'
  slipway subscriptions put dashboard --grpc-stream
  slipway subscriptions put audit --sns arn:aws:sns:eu-north-1:123456789012:deployments.fifo
  slipway subscriptions put bus --event-bus deployments --region eu-north-1`,
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return s.put(c, cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&s.pattern, "pattern", "", "event pattern as JSON, or @FILE; without it every event")
	f.StringVar(&s.format, "format", "eventbridge", "what events look like: eventbridge or cloudevents")
	f.StringVar(&s.https, "https", "", "URL to POST events to")
	f.StringVar(&s.secretFile, "secret-file", "", "with --https: file with one secret (whsec_…) or two, a line each; - for the standard input")
	f.BoolVar(&s.newSecret, "new-secret", false, "with --https: make a secret and print it, this once")
	f.BoolVar(&s.stream, "grpc-stream", false, "keep events for programs that call StreamEvents")
	f.StringVar(&s.sns, "sns", "", "ARN of an SNS topic")
	f.StringVar(&s.bus, "event-bus", "", "name or ARN of an EventBridge event bus")
	f.StringVar(&s.region, "region", "", "with --sns and --event-bus: the AWS region")
	f.StringVar(&s.endpoint, "endpoint-url", "", "with --sns and --event-bus: another endpoint than AWS's")
	f.BoolVar(&s.keepAsAWS, "keep-source", false, `with --event-bus: keep sources that begin with "aws.", which AWS itself refuses`)
	f.DurationVar(&s.age, "max-age", 24*time.Hour, "how long an event is tried")
	f.Int32Var(&s.retries, "max-retries", 185, "how often an event is tried again")
	f.DurationVar(&s.call, "call-timeout", 10*time.Second, "how long one call may take")
	return cmd
}

func (s *subscribing) put(c *cli, cmd *cobra.Command, name string) error {
	sub, secret, err := s.subscription(c, cmd, name)
	if err != nil {
		return err
	}
	api, err := c.subscriptions()
	if err != nil {
		return err
	}
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	r, err := api.PutSubscription(ctx, &hookspb.PutSubscriptionRequest{RequestId: requestID(), Subscription: sub})
	if err != nil {
		return err
	}
	if secret != "" && c.output != "table" {
		fmt.Fprintln(c.err, "secret:", secret) // not part of the answer
	}
	return c.show(r, func() error {
		if _, err := fmt.Fprintf(c.out, "subscription %s sends events to %s\n", words.Clean(name), words.Clean(target(r.GetSubscription()))); err != nil {
			return err
		}
		if secret == "" {
			return nil
		}
		_, err := fmt.Fprintf(c.out, "they are signed with %s; it is not shown again\n", secret)
		return err
	})
}

// subscription is what the flags say, and the secret that was made for it.
func (s *subscribing) subscription(c *cli, cmd *cobra.Command, name string) (*hookspb.Subscription, string, error) {
	targets := 0
	for _, given := range []bool{s.https != "", s.stream, s.sns != "", s.bus != ""} {
		if given {
			targets++
		}
	}
	if targets != 1 {
		return nil, "", usagef(cmd, "one of --https, --grpc-stream, --sns and --event-bus is needed")
	}
	if s.https == "" && (s.secretFile != "" || s.newSecret) || s.secretFile != "" && s.newSecret {
		return nil, "", usagef(cmd, "--secret-file or --new-secret goes with --https, one of them")
	}
	sub := &hookspb.Subscription{
		Name: name, MaximumEventAge: durationpb.New(s.age), MaximumRetryAttempts: &s.retries, CallTimeout: durationpb.New(s.call),
	}
	switch strings.ToLower(s.format) {
	case "eventbridge":
		sub.Format = hookspb.Subscription_FORMAT_EVENTBRIDGE
	case "cloudevents":
		sub.Format = hookspb.Subscription_FORMAT_CLOUDEVENTS
	default:
		return nil, "", usagef(cmd, "--format is eventbridge or cloudevents, not %q", s.format)
	}
	var err error
	if sub.EventPattern, err = textOrFile(c, s.pattern); err != nil {
		return nil, "", err
	}
	secret, err := s.target(c, sub)
	return sub, secret, err
}

func (s *subscribing) target(c *cli, sub *hookspb.Subscription) (secret string, err error) {
	switch {
	case s.https != "":
		to := &hookspb.HttpsEventTarget{Url: s.https}
		if s.newSecret {
			secret = makeSecret()
			to.Secrets = []string{secret}
		}
		if s.secretFile != "" {
			if to.Secrets, err = readSecrets(c, s.secretFile); err != nil {
				return "", err
			}
		}
		sub.Target = &hookspb.Subscription_Https{Https: to}
	case s.stream:
		sub.Target = &hookspb.Subscription_GrpcStream{GrpcStream: &hookspb.GrpcStreamEventTarget{}}
	case s.sns != "":
		sub.Target = &hookspb.Subscription_Sns{Sns: &hookspb.SnsEventTarget{TopicArn: s.sns, Region: s.region, EndpointUrl: s.endpoint}}
	default:
		sub.Target = &hookspb.Subscription_EventBridge{EventBridge: &hookspb.EventBridgeEventTarget{
			EventBusName: s.bus, Region: s.region, EndpointUrl: s.endpoint, KeepSource: s.keepAsAWS,
		}}
	}
	return secret, nil
}

// makeSecret is 32 random bytes in Standard Webhooks' form.
func makeSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

func readSecrets(c *cli, file string) ([]string, error) {
	text, err := readInput(c, file)
	if err != nil {
		return nil, err
	}
	return strings.Fields(text), nil
}

// maxInput bounds what is read of a file with a pattern, an event or a secret, in bytes.
const maxInput = 1 << 20

// textOrFile is the text itself, or what the file after @ holds; @- is the standard input.
func textOrFile(c *cli, text string) (string, error) {
	if file, ok := strings.CutPrefix(text, "@"); ok {
		return readInput(c, file)
	}
	return text, nil
}

func readInput(c *cli, file string) (string, error) {
	from := c.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("read the file: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxInput))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return string(data), nil
}
