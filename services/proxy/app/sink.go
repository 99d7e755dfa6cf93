package app

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
)

// sink pushes metrics to the alarms service.
type sink struct{ client alarmspb.AlarmServiceClient }

var _ requestmetrics.Sink = sink{}

// PutMetricData pushes the data; see requestmetrics.Sink.
func (s sink) PutMetricData(ctx context.Context, requestID, namespace string, data []requestmetrics.Datum) error {
	req := &alarmspb.PutMetricDataRequest{RequestId: requestID, Namespace: namespace, MetricData: make([]*alarmspb.MetricDatum, len(data))}
	for i, d := range data {
		pb := &alarmspb.MetricDatum{MetricName: d.Name, Timestamp: timestamppb.New(d.Time), Values: d.Values, Counts: d.Counts, Unit: d.Unit}
		for _, dimension := range d.Dimensions {
			pb.Dimensions = append(pb.Dimensions, &alarmspb.Dimension{Name: dimension.Name, Value: dimension.Value})
		}
		req.MetricData[i] = pb
	}
	_, err := s.client.PutMetricData(ctx, req)
	return err
}
