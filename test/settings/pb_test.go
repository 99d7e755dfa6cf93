package settings

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func seconds(n float64) *durationpb.Duration {
	return durationpb.New(time.Duration(n * float64(time.Second)))
}

func envelope(minimum, maximum int32) *config {
	return &config{MinimumHealthyPercent: &minimum, MaximumPercent: &maximum, MinimumHealthyTime: seconds(0)}
}

// breaker is an enabled circuit breaker with that threshold.
func breaker(kind orchestratorpb.ThresholdConfiguration_Type, value int32) *orchestratorpb.DeploymentCircuitBreaker {
	return &orchestratorpb.DeploymentCircuitBreaker{
		Enable: true, Rollback: true, ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: kind, Value: value},
	}
}

// refused checks that a request was refused for one field.
func refused(t *testing.T, err error, field string) {
	t.Helper()
	p := problem.As(err)
	if !errors.Is(err, problem.InvalidArgument) || p == nil || len(p.Violations) == 0 || p.Violations[0].Field != field {
		t.Errorf("got %v, want it refused by field %s", err, field)
	}
}

func object(key, value string) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{key: structpb.NewStringValue(value)}}
}
