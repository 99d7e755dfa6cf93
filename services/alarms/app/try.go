package app

import (
	"errors"

	"buf.build/go/protovalidate"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/grpcapi"
)

// TestAlarm is the RPC of this name without a service: it needs neither a database nor a network.
func TestAlarm(req *alarmspb.TestAlarmRequest) (*alarmspb.TestAlarmResponse, error) {
	err := protovalidate.Validate(req)
	if invalid, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		var broken []problem.Violation
		for _, v := range invalid.Violations {
			broken = append(broken, problem.Violation{Field: protovalidate.FieldPathString(v.Proto.GetField()), Rule: v.Proto.GetMessage()})
		}
		return nil, problem.Violated(broken...)
	}
	if err != nil {
		return nil, err
	}
	return grpcapi.Try(req, Default().Place.ARN)
}

// Children are the names of the alarms that a composite alarm depends on.
func Children(a *alarmspb.CompositeAlarm) ([]string, error) { return grpcapi.Children(a) }
