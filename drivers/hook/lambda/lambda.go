// Package lambda calls AWS Lambda functions by the Invoke API and waits for what they return (RequestResponse). A local
// emulator serves as well as AWS: the endpoint is a setting.
package lambda

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// Config says where functions are called. What is empty comes from where the AWS SDK looks: the environment, the shared
// files, the metadata of the machine; credentials always do.
type Config struct {
	Region   string
	Endpoint string         // a URL; "" for AWS's
	RootCAs  *x509.CertPool // to check the endpoint with; nil for the system's
	MaxBody  int            // bytes that are read of an answer, and one more
}

// Function is a function to call.
type Function struct {
	Name      string // name, partial ARN or ARN
	Qualifier string // version or alias; "" for $LATEST
}

// Returned is what a function returned.
type Returned struct {
	Payload []byte // of an error, too
	Error   string // "" when the function returned; else why it did not, e.g. "Unhandled: Sandbox.Timedout: Task timed out"
}

// Error is a call that Lambda refused or that broke off.
type Error struct {
	Text    string
	Again   bool // it may go well later
	Reached bool // nobody knows whether the function was called
}

// Error is the text.
func (e *Error) Error() string { return e.Text }

// maxRegions bounds how many clients are kept.
const maxRegions = 64

// Client calls functions.
type Client struct {
	cfg  Config
	http *http.Client
	load func(context.Context) (aws.Config, error)

	mu   sync.Mutex
	base *aws.Config
	of   map[string]*lambda.Client // by region
}

// New returns a client. The SDK's configuration is read at the first call.
func New(cfg Config) *Client {
	return &Client{
		cfg: cfg, http: httpClient(cfg), of: make(map[string]*lambda.Client),
		load: func(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) },
	}
}

// Invoke calls a function once. The error is an *Error.
func (c *Client) Invoke(ctx context.Context, f Function, payload []byte) (Returned, error) {
	client, err := c.client(ctx, regionOf(f.Name))
	if err != nil {
		return Returned{}, &Error{Text: err.Error(), Again: true}
	}
	in := &lambda.InvokeInput{FunctionName: &f.Name, InvocationType: types.InvocationTypeRequestResponse, Payload: payload}
	if f.Qualifier != "" {
		in.Qualifier = &f.Qualifier
	}
	var reached atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { reached.Store(true) }})
	out, err := client.Invoke(ctx, in)
	if err != nil {
		return Returned{}, failed(err, reached.Load())
	}
	r := Returned{Payload: out.Payload}
	if out.FunctionError != nil {
		r.Error = functionError(*out.FunctionError, out.Payload)
	}
	return r, nil
}

func (c *Client) client(ctx context.Context, region string) (*lambda.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if have := c.of[region]; have != nil {
		return have, nil
	}
	if c.base == nil {
		loaded, err := c.load(ctx)
		if err != nil {
			return nil, fmt.Errorf("read AWS's configuration: %w", err)
		}
		c.base = &loaded
	}
	cfg := c.base.Copy()
	cfg.HTTPClient = bounded{client: c.http, limit: int64(c.cfg.MaxBody) + 1}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // no retries hidden in an attempt
	switch {
	case region != "":
		cfg.Region = region
	case c.cfg.Region != "":
		cfg.Region = c.cfg.Region
	case cfg.Region == "":
		return nil, errors.New("no AWS region is set, neither by -lambda-region nor by the environment nor by the function's ARN")
	}
	if len(c.of) >= maxRegions {
		clear(c.of)
	}
	c.of[region] = lambda.NewFromConfig(cfg, func(o *lambda.Options) {
		if c.cfg.Endpoint != "" {
			o.BaseEndpoint = &c.cfg.Endpoint
		}
	})
	return c.of[region], nil
}

// regionOf is the region of an ARN, "" of another name.
func regionOf(name string) string {
	parts := strings.Split(name, ":")
	if len(parts) >= 6 && parts[0] == "arn" && parts[2] == "lambda" {
		return parts[3]
	}
	return ""
}

// functionError is the kind of the error ("Handled", "Unhandled") and what the runtime says about it.
func functionError(kind string, payload []byte) string {
	var said struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal(payload, &said) != nil {
		return kind
	}
	for _, part := range []string{said.Type, said.Message} {
		if part != "" {
			kind += ": " + part
		}
	}
	return kind
}

// failed tells what may go well later, throttling, trouble of Lambda's own, a function that is being changed, from what
// stays as it is until someone changes the hook, the function or the credentials.
func failed(err error, reached bool) *Error {
	text := err.Error()
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	}
	answer, answered := errors.AsType[*awshttp.ResponseError](err)
	if !answered || answer.HTTPStatusCode() == 0 {
		if in, ok := errors.AsType[*url.Error](err); ok {
			text = in.Err.Error() // without the URL and the SDK's words around it
		}
		return &Error{Text: text, Again: true, Reached: reached}
	}
	status := answer.HTTPStatusCode()
	again := status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusConflict
	return &Error{Text: text, Again: again}
}
