package prometheus

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// authorized adds the credentials to requests.
type authorized struct {
	base  http.RoundTripper
	token string
	user  *url.Userinfo
}

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.token == "" && a.user == nil {
		return a.base.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if a.token != "" {
		r.Header.Set("Authorization", "Bearer "+a.token)
	} else {
		password, _ := a.user.Password()
		r.SetBasicAuth(a.user.Username(), password)
	}
	return a.base.RoundTrip(r)
}

// CloseIdleConnections passes on what api.Client asks of its transport.
func (a authorized) CloseIdleConnections() {
	if c, ok := a.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// sentence says what went wrong. PromQL that is wrong is the query's fault, everything else the source's.
func (s *Source) sentence(ctx context.Context, text string, err error) error {
	answer := &v1.Error{}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return problem.New(problem.Canceled, "", "the caller gave up waiting for %s", s.name).Wrap(err)
	case errors.Is(err, context.DeadlineExceeded):
		return problem.New(problem.Unavailable, "", "%s did not answer in time", s.name).Wrap(err)
	case !errors.As(err, &answer):
		return problem.New(problem.Unavailable, "", "%s cannot be reached or read: %s", s.name, err).Wrap(err)
	case answer.Type == v1.ErrBadData:
		return problem.Invalid("expr", "must be PromQL that %s accepts, and it says: %s: %s", s.name, answer.Msg, text).Wrap(err)
	case answer.Type == v1.ErrExec:
		return problem.Invalid("expr", "could not be computed by %s, which says: %s: %s", s.name, answer.Msg, text).Wrap(err)
	}
	return problem.New(problem.Unavailable, "", "%s answered with an error: %s", s.name, answer.Error()).Wrap(err)
}
