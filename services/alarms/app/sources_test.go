package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

// prometheus answers each query_range with one series of a value, or fails.
func prometheus(t *testing.T) (url string, value *atomic.Int64, down *atomic.Bool) {
	value, down = &atomic.Int64{}, &atomic.Bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = r.ParseForm()
		at, _ := time.Parse(time.RFC3339Nano, r.Form.Get("end"))
		seconds := r.Form.Get("end")
		if !at.IsZero() {
			seconds = fmt.Sprint(at.Unix())
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[%s,"%d"]]}]}}`, seconds, value.Load())
	}))
	t.Cleanup(server.Close)
	return server.URL, value, down
}

func queried(name string) *alarmspb.MetricAlarm {
	return &alarmspb.MetricAlarm{
		Name: name, Source: &alarmspb.MetricSource{Type: alarmspb.MetricSource_TYPE_PROMETHEUS, Query: "sum(rate(errors_total[1m]))"},
		Period: durationpb.New(10 * time.Second), EvaluationPeriods: 1,
		ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		TreatMissingData:   alarmspb.MetricAlarm_TREAT_MISSING_DATA_NOT_BREACHING,
	}
}

func TestAnAlarmOnPrometheus(t *testing.T) {
	t.Parallel()
	url, value, down := prometheus(t)
	s := startWith(t, postgrestest.URL(t), func(cfg *app.Config) { cfg.Sources.PrometheusURL = url })
	value.Store(3)
	s.put(queried("a"))
	if reason := s.await("a", alarm).GetStateReason(); !strings.HasPrefix(reason, "Threshold Crossed: 1 datapoint [3.0 (") {
		t.Error(reason)
	}
	down.Store(true)
	s.put(queried("b")) // is asked for at once, as every new alarm
	b := s.awaitAlarm("b", func(a *alarmspb.MetricAlarm) bool {
		return a.GetEvaluationState() == alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_ERROR
	})
	if b.GetState() != alarmspb.MetricAlarm_STATE_INSUFFICIENT_DATA || !strings.Contains(b.GetEvaluationStateReason(), "Prometheus at "+url) {
		t.Error(b)
	}
}

func TestASourceThatIsNotSetUpIsRefused(t *testing.T) {
	t.Parallel()
	s := started(t)
	_, err := s.PutMetricAlarm(t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: queried("a")})
	wantInvalid(t, err, "alarm.source", "is Prometheus, which this alarms service is not set up for: start it with -prometheus-url")
	math := ratio(1)
	math.Metrics[1].MetricStat.Source = &alarmspb.MetricSource{Type: alarmspb.MetricSource_TYPE_CLOUDWATCH}
	_, err = s.PutMetricAlarm(t.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: math})
	wantInvalid(t, err, "alarm.metrics[1].metric_stat.source", "is CloudWatch, which this alarms service is not set up for: start it with -cloudwatch-region")
}

func TestSettingsOfSourcesAreChecked(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*app.Config){
		"prometheus-url: is needed with prometheus-token and prometheus-ca": func(c *app.Config) { c.Sources.PrometheusToken = "t" },
		"cloudwatch-region: is needed with cloudwatch-endpoint":             func(c *app.Config) { c.Sources.CloudWatchEndpoint = "http://x" },
		"source-timeout: must be 1s to 20s":                                 func(c *app.Config) { c.Sources.Timeout = time.Minute },
		"event-account: must have 12 digits":                                func(c *app.Config) { c.Place.Account = "1" },
	} {
		cfg := app.Default()
		cfg.DatabaseURL = "postgres://x"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
