package handler

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// The headers that carry an attempt's identity. The id of Standard Webhooks is the same for the same attempt, however
// often it is sent; its timestamp and signatures are those of the sending.
const (
	HeaderInvocation = "Slipway-Invocation-Id"
	HeaderAttempt    = "Slipway-Attempt"
	HeaderWebhookID  = "Webhook-Id"
)

const (
	dialTimeout    = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

var errNotLoopback = errors.New("http:// is allowed to loopback addresses only")

type webhook struct {
	https, http *http.Client
	now         func() time.Time
	log         *slog.Logger
}

func newWebhook(cfg Config, log *slog.Logger) webhook {
	secure := transport(&net.Dialer{Timeout: dialTimeout})
	secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.RootCAs}
	secure.Proxy = http.ProxyFromEnvironment
	plain := &net.Dialer{Timeout: dialTimeout}
	if !cfg.AllowHTTP {
		// The URL was checked when the hook was registered; what its host resolves to is known only now.
		plain.Control = loopbackOnly
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return webhook{https: client(secure), http: client(transport(plain)), now: cfg.Now, log: log}
}

func transport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

func client(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t,
		// A redirect could lead a signed-off URL anywhere, also to http:// or into this machine.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func loopbackOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

func (w webhook) call(ctx context.Context, c Call) Reply {
	var begun atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { begun.Store(true) }})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, c.Target.Address, strings.NewReader(c.Request))
	if err != nil {
		return c.unanswered(true, "%s", withoutURL(err))
	}
	if err := w.head(req, c); err != nil {
		return c.unanswered(true, "%s", err)
	}
	client := w.https
	if req.URL.Scheme == "http" {
		client = w.http
	}
	resp, err := client.Do(req)
	if errors.Is(err, errNotLoopback) {
		return c.unanswered(true, "%s: %s", errNotLoopback, req.URL.Host)
	}
	if err != nil {
		return c.failed(ctx, withoutURL(err), begun.Load())
	}
	defer w.closeBody(resp.Body)
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if err != nil {
		return c.failed(ctx, fmt.Errorf("the answer broke off: %w", err), true)
	}
	return c.judge(resp.StatusCode, body)
}

// head sets the headers: who calls, for which attempt, and that it is really the hooks service.
func (w webhook) head(req *http.Request, c Call) error {
	id, at := fmt.Sprintf("%s/%d", c.Invocation, c.Attempt), w.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "slipway-hooks")
	req.Header.Set(HeaderInvocation, c.Invocation)
	req.Header.Set(HeaderAttempt, strconv.Itoa(c.Attempt))
	req.Header.Set(HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	if len(c.Target.Secrets) == 0 {
		return nil
	}
	signatures := make([]string, 0, len(c.Target.Secrets))
	for _, secret := range c.Target.Secrets {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return errors.New("a secret of the hook is not base64") // the error of the library shows part of it
		}
		signature, err := signer.Sign(id, at, []byte(c.Request))
		if err != nil {
			return fmt.Errorf("sign the request: %w", err)
		}
		signatures = append(signatures, signature)
	}
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// withoutURL takes off the URL, whose query may hold a secret.
func withoutURL(err error) error {
	if in, ok := errors.AsType[*url.Error](err); ok {
		err = in.Err
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the connection was closed without an answer")
	}
	return err
}

func (w webhook) closeBody(body io.Closer) {
	if err := body.Close(); err != nil {
		w.log.Debug("close the answer of a webhook", "error", err)
	}
}

// judge takes the HTTP status first: only 2xx is an answer. Codes that say "not now" are tried again, the others
// (a wrong path, a refused caller, a redirect) stay as they are until someone changes the hook.
func (c Call) judge(status int, body []byte) Reply {
	if status < 200 || status > 299 {
		again := status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly
		reply := c.unanswered(!again, "answered HTTP status %s", strings.TrimSpace(strconv.Itoa(status)+" "+http.StatusText(status)))
		reply.Response = clean(string(body))
		return reply
	}
	reply := c.said(body)
	if e, ok := reply.Event.(invocation.Answered); ok && status == http.StatusAccepted && e.Answer.Status == "" && len(body) <= MaxAnswer {
		return c.answered(accepted(body), string(body))
	}
	return reply
}
