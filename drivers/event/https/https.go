// Package https sends events as POST requests that are signed as Standard Webhooks says (standardwebhooks.com).
package https

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/slipway-deploy/slipway/drivers/event"
)

// maxAnswer bounds what is read of an answer, in bytes; it is thrown away, and a longer one costs the connection.
const maxAnswer = 64 << 10

// Sender sends events to HTTPS endpoints.
type Sender struct {
	client *event.Client
	now    func() time.Time
}

var _ event.Sender = (*Sender)(nil)

// New returns a sender. now is the time in signatures.
func New(client *event.Client, now func() time.Time) *Sender {
	return &Sender{client: client, now: now}
}

// Send makes one POST. 2xx delivers; 410 Gone says that nobody is there any more; all else may be tried again, after
// Retry-After when the answer has one.
func (s *Sender) Send(ctx context.Context, to event.Target, m event.Message) event.Result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Address, bytes.NewReader(m.Body))
	if err != nil {
		return event.Refused("the URL cannot be called")
	}
	at := s.now()
	signature, err := sign(to.Secrets, m, at)
	if err != nil {
		return event.Refused("%s", err)
	}
	req.Header.Set("Content-Type", m.ContentType)
	req.Header.Set("User-Agent", "slipway-events")
	req.Header.Set(standardwebhooks.HeaderWebhookID, m.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := s.client.Do(req)
	switch {
	case errors.Is(err, event.ErrNotLoopback):
		return event.Refused("%s: %s", event.ErrNotLoopback, req.URL.Host)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return event.Failed("no answer in time")
	case errors.Is(err, io.EOF):
		return event.Failed("the connection was closed without an answer")
	case err != nil:
		return event.Failed("%s", err)
	}
	defer func() { _ = resp.Body.Close() }() // what it says was read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	return s.judge(resp)
}

func (s *Sender) judge(resp *http.Response) event.Result {
	status := strings.TrimSpace(strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return event.Delivered()
	case resp.StatusCode == http.StatusGone:
		return event.Refused("answered HTTP status %s", status)
	}
	r := event.Failed("answered HTTP status %s", status)
	r.After = s.retryAfter(resp.Header.Get("Retry-After"))
	return r
}

// retryAfter is a number of seconds or a time; 0 for neither.
func (s *Sender) retryAfter(header string) time.Duration {
	const most = 24 * 60 * 60
	if n, err := strconv.Atoi(header); err == nil && n > 0 {
		return time.Duration(min(n, most)) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(s.now()), 0)
	}
	return 0
}

// sign returns a signature for each secret. An error shows none of them.
func sign(secrets []string, m event.Message, at time.Time) (string, error) {
	signatures := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", errors.New("a secret of the subscription is not base64")
		}
		signature, err := hook.Sign(m.ID, at, m.Body)
		if err != nil {
			return "", errors.New("the event cannot be signed")
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) == 0 {
		return "", errors.New("the subscription has no secret to sign with")
	}
	return strings.Join(signatures, " "), nil
}
