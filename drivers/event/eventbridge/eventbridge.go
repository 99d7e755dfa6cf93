// Package eventbridge puts events on Amazon EventBridge event buses.
package eventbridge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/aws"
)

// IDField is the field of the detail that has Slipway's id of the event: EventBridge gives each put an id of its own.
const IDField = "slipwayEventId"

// Sender sends events to event buses.
type Sender struct{ clients *aws.Clients[*api.Client] }

var _ event.Sender = (*Sender)(nil)

// New returns a sender.
func New(client *event.Client) *Sender {
	return &Sender{clients: aws.NewClients(client, func(cfg sdk.Config, endpoint *string) *api.Client {
		return api.NewFromConfig(cfg, func(o *api.Options) { o.BaseEndpoint = endpoint })
	})}
}

// Send puts one entry. EventBridge answers 200 also when it takes none: the answer's entry says.
func (s *Sender) Send(ctx context.Context, to event.Target, m event.Message) event.Result {
	client, err := s.clients.Of(ctx, to)
	if err != nil {
		return event.Failed("%s", err)
	}
	detail, err := withID(m.Detail, m.ID)
	if err != nil {
		return event.Refused("%s", err)
	}
	out, err := client.PutEvents(ctx, &api.PutEventsInput{Entries: []types.PutEventsRequestEntry{{
		EventBusName: &to.Address, Source: sdk.String(source(to, m.Source)), DetailType: &m.DetailType, Detail: &detail,
		Resources: m.Resources, Time: sdk.Time(m.Time),
	}}})
	if err != nil {
		return aws.Judge(ctx, err)
	}
	for _, entry := range out.Entries {
		if code := sdk.ToString(entry.ErrorCode); code != "" {
			return event.Failed("%s: %s", code, sdk.ToString(entry.ErrorMessage))
		}
	}
	if out.FailedEntryCount > 0 {
		return event.Failed("the event bus took no entry")
	}
	return event.Delivered()
}

// source is the event's, or one that AWS takes: those that begin with "aws." are its own.
func source(to event.Target, source string) string {
	if name, ok := strings.CutPrefix(source, "aws."); ok && !to.KeepSource {
		return "slipway." + name
	}
	return source
}

// withID adds the event's id in front of the detail's fields.
func withID(detail []byte, id string) (string, error) {
	detail = bytes.TrimSpace(detail)
	if len(detail) < 2 || detail[0] != '{' {
		return "", fmt.Errorf("the detail is no JSON object")
	}
	name, err := json.Marshal(id)
	if err != nil {
		return "", fmt.Errorf("write the id: %w", err)
	}
	rest := detail[1:]
	if !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		rest = append([]byte(","), rest...)
	}
	return `{"` + IDField + `":` + string(name) + string(rest), nil
}
