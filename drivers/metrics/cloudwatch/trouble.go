package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// sentence says what went wrong: what CloudWatch calls invalid is the query's fault, everything else the source's.
func (s *Source) sentence(ctx context.Context, err error) error {
	var answer smithy.APIError
	var spent *ratelimit.QuotaExceededError
	var attempts *retry.MaxAttemptsError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return problem.New(problem.Canceled, "", "the caller gave up waiting for %s", s.name).Wrap(err)
	case errors.As(err, &answer) && invalid(answer.ErrorCode()):
		return problem.Invalid("query", "is refused by %s: %s: %s", s.name, answer.ErrorCode(), answer.ErrorMessage()).Wrap(err)
	case errors.As(err, &answer) && errors.As(err, &attempts):
		return problem.New(problem.Unavailable, "", "%s answered with an error, %d times: %s: %s",
			s.name, attempts.Attempt, answer.ErrorCode(), answer.ErrorMessage()).Wrap(err)
	case errors.As(err, &answer):
		return problem.New(problem.Unavailable, "", "%s answered with an error: %s: %s", s.name, answer.ErrorCode(), answer.ErrorMessage()).Wrap(err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return problem.New(problem.Unavailable, "", "%s did not answer within %s", s.name, s.timeout).Wrap(err)
	case errors.As(err, &spent):
		return problem.New(problem.Unavailable, "", "%s failed too often to be asked again now", s.name).Wrap(err)
	}
	return problem.New(problem.Unavailable, "", "%s cannot be reached or read: %s", s.name, cause(err)).Wrap(err)
}

func invalid(code string) bool {
	return strings.HasPrefix(code, "InvalidParameter") || strings.HasPrefix(code, "Validation") || strings.HasPrefix(code, "MissingRequiredParameter") ||
		strings.HasPrefix(code, "MissingParameter")
}

// cause is the innermost error: the SDK's own have the operation and its attempts in front.
func cause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

func said(messages []types.MessageData) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "; %s: %s", aws.ToString(m.Code), aws.ToString(m.Value))
	}
	return b.String()
}
