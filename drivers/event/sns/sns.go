// Package sns publishes events to Amazon SNS topics.
package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/aws"
)

// maxMessage is SNS's, in bytes.
const maxMessage = 256 << 10

// Sender sends events to topics.
type Sender struct{ clients *aws.Clients[*api.Client] }

var _ event.Sender = (*Sender)(nil)

// New returns a sender.
func New(client *event.Client) *Sender {
	return &Sender{clients: aws.NewClients(client, func(cfg sdk.Config, endpoint *string) *api.Client {
		return api.NewFromConfig(cfg, func(o *api.Options) { o.BaseEndpoint = endpoint })
	})}
}

// Send publishes one message: the event, with its id, source and detail-type as attributes to filter by. In a FIFO
// topic the events of one deployment are a message group, and an event that is sent twice is taken once.
func (s *Sender) Send(ctx context.Context, to event.Target, m event.Message) event.Result {
	if len(m.Body) > maxMessage {
		return event.Refused("the event has %d bytes, more than the %d of an SNS message", len(m.Body), maxMessage)
	}
	client, err := s.clients.Of(ctx, to)
	if err != nil {
		return event.Failed("%s", err)
	}
	input := &api.PublishInput{
		TopicArn: &to.Address, Message: sdk.String(string(m.Body)),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"id": attribute(m.ID), "source": attribute(m.Source), "detail-type": attribute(m.DetailType),
		},
	}
	if strings.HasSuffix(to.Address, ".fifo") {
		input.MessageGroupId, input.MessageDeduplicationId = sdk.String(group(m.OrderKey)), &m.ID
	}
	if _, err := client.Publish(ctx, input); err != nil {
		return aws.Judge(ctx, err)
	}
	return event.Delivered()
}

func attribute(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: sdk.String("String"), StringValue: &value}
}

// maxGroup is how long a message group's name may be.
const maxGroup = 128

// group makes a message group's name of an order key: letters, digits and punctuation. Another key is given as its hash.
func group(key string) string {
	plain := key != "" && len(key) <= maxGroup
	for _, c := range []byte(key) {
		plain = plain && c > ' ' && c < 0x7f
	}
	if plain {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
