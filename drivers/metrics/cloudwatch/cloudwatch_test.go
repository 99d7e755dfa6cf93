package cloudwatch

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/drivers/metrics/metricstest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func open(t *testing.T, cfg Config) *Source {
	t.Helper()
	if cfg.Region == "" {
		cfg.Region = "eu-central-1"
	}
	s, err := newSource(t.Context(), cfg, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	metricstest.Run(t, open(t, Config{Endpoint: newServer(t).url}))
}

var (
	from = metricstest.Start
	to   = metricstest.Start.Add(4 * time.Minute)
)

func latency(statistic string) metrics.Query {
	return metrics.Query{
		Namespace: metricstest.Namespace, MetricName: metricstest.Latency, Dimensions: map[string]string{metricstest.Route: "/buy"},
		Statistic: statistic, Period: time.Minute,
	}
}

func TestTheRequestIsCloudWatchs(t *testing.T) {
	server := newServer(t)
	q := latency("p99")
	q.Unit, q.Dimensions = "Milliseconds", map[string]string{"zone": "a", metricstest.Route: "/buy"}
	if _, err := open(t, Config{Endpoint: server.url}).Statistics(t.Context(), q, from, to); err != nil {
		t.Fatal(err)
	}
	h := server.headers[0]
	if h.Get("Smithy-Protocol") != "rpc-v2-cbor" || h.Get("Content-Type") != "application/cbor" ||
		!strings.HasPrefix(h.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ||
		!strings.Contains(h.Get("Authorization"), "/eu-central-1/monitoring/aws4_request") {
		t.Errorf("headers: %v", h)
	}
	metric := cbor.Map{
		"Namespace": cbor.String("slipway"), "MetricName": cbor.String("latency"),
		"Dimensions": cbor.List{
			cbor.Map{"Name": cbor.String("route"), "Value": cbor.String("/buy")},
			cbor.Map{"Name": cbor.String("zone"), "Value": cbor.String("a")},
		},
	}
	stat := func(id, stat string) cbor.Map {
		return cbor.Map{"Id": cbor.String(id), "ReturnData": cbor.Bool(true), "MetricStat": cbor.Map{
			"Metric": metric, "Period": cbor.Uint(60), "Stat": cbor.String(stat), "Unit": cbor.String("Milliseconds"),
		}}
	}
	want := cbor.Map{
		"StartTime": &cbor.Tag{ID: 1, Value: cbor.Float64(from.Unix())}, "EndTime": &cbor.Tag{ID: 1, Value: cbor.Float64(to.Unix())},
		"ScanBy": cbor.String("TimestampAscending"), "MetricDataQueries": cbor.List{stat("value", "p99"), stat("samples", "SampleCount")},
	}
	if got := server.requests[0]; !same(got, want) {
		t.Errorf("the request is\n%v\nwant\n%v", got, want)
	}
}

func same(a, b cbor.Value) bool {
	switch a := a.(type) {
	case cbor.Map:
		b, ok := b.(cbor.Map)
		if !ok || len(a) != len(b) {
			return false
		}
		for k := range a {
			if b[k] == nil || !same(a[k], b[k]) {
				return false
			}
		}
		return true
	case cbor.List:
		b, ok := b.(cbor.List)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case *cbor.Tag:
		b, ok := b.(*cbor.Tag)
		x, _ := cbor.AsFloat64(a.Value)
		y, _ := cbor.AsFloat64(b.Value)
		return ok && a.ID == b.ID && x == y
	}
	return a == b
}

func TestPagesAreFollowed(t *testing.T) {
	server := newServer(t)
	server.pageSize = 2
	points, err := open(t, Config{Endpoint: server.url}).Statistics(t.Context(), latency("p50"), from, to)
	if err != nil || len(points) != 3 || points[2].Value != 8 || points[2].SampleCount != 2 || !points[2].Time.Equal(from.Add(3*time.Minute)) {
		t.Fatalf("%+v %v", points, err)
	}
	if len(server.requests) != 2 || server.requests[1]["NextToken"] != cbor.String("2") {
		t.Errorf("the requests were %v", server.requests)
	}
}

func TestThrottlingIsRetried(t *testing.T) {
	server := newServer(t)
	throttled := refuse(http.StatusBadRequest, "ThrottlingException", "Throttling", "Rate exceeded")
	server.trouble = []func(http.ResponseWriter){throttled, refuse(http.StatusInternalServerError, "InternalServiceFault", "InternalServiceError", "oops")}
	s := open(t, Config{Endpoint: server.url})
	if points, err := s.Statistics(t.Context(), latency(metrics.Sum), from, to); err != nil || len(points) != 3 || len(server.requests) != 3 {
		t.Fatalf("%d requests: %+v %v", len(server.requests), points, err)
	}
	server.trouble = []func(http.ResponseWriter){throttled, throttled, throttled}
	_, err := s.Statistics(t.Context(), latency(metrics.Sum), from, to)
	if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "answered with an error, 3 times: Throttling") || len(server.requests) != 6 {
		t.Errorf("%d requests: %v", len(server.requests), err)
	}
}

func TestTroubleIsASentence(t *testing.T) {
	server := newServer(t)
	s := open(t, Config{Endpoint: server.url})
	for words, c := range map[string]struct {
		refusal func(http.ResponseWriter)
		kind    problem.Kind
	}{
		"is refused by CloudWatch in eu-central-1 at http": {
			refuse(400, "InvalidParameterValueException", "InvalidParameterValue", "Period must be a multiple of 60"), problem.InvalidArgument,
		},
		"Error in expression": {refuse(400, "ValidationException", "ValidationError", "Error in expression 'value'"), problem.InvalidArgument},
		"AccessDenied":        {refuse(403, "AccessDeniedException", "AccessDenied", "not allowed to cloudwatch:GetMetricData"), problem.Unavailable},
		"InvalidClientTokenId": {
			refuse(403, "UnrecognizedClientException", "InvalidClientTokenId", "The security token is invalid"), problem.Unavailable,
		},
		"cannot be reached or read": {func(w http.ResponseWriter) { w.WriteHeader(200); _, _ = w.Write([]byte("<html>")) }, problem.Unavailable},
		"the answer is too large": {func(w http.ResponseWriter) {
			w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
			_, _ = w.Write(make([]byte, maxAnswer+1))
		}, problem.Unavailable},
	} {
		server.trouble = []func(http.ResponseWriter){c.refusal}
		_, err := s.Statistics(t.Context(), latency(metrics.Sum), from, to)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestAnAnswerInPartIsNone(t *testing.T) {
	server := newServer(t)
	s := open(t, Config{Endpoint: server.url})
	result := func(status, label string) cbor.Map {
		return cbor.Map{
			"Id": cbor.String("value"), "Label": cbor.String(label), "StatusCode": cbor.String(status),
			"Timestamps": cbor.List{&cbor.Tag{ID: 1, Value: cbor.Float64(from.Unix())}}, "Values": cbor.List{cbor.Float64(1)},
		}
	}
	for words, answer := range map[string]cbor.Map{
		"has no further page":           {"MetricDataResults": cbor.List{result("PartialData", "a")}},
		"could not read the metric: Fo": {"MetricDataResults": cbor.List{result("Forbidden", "a")}},
		"could not read the metric: In": {"MetricDataResults": cbor.List{result("InternalError", "a")}},
		`gives "a" and "b"`:             {"MetricDataResults": cbor.List{result("Complete", "a"), result("Complete", "b")}},
		"more than 100 pages":           {"MetricDataResults": cbor.List{result("PartialData", "a")}, "NextToken": cbor.String("again")},
		"answered in part: MaxMetrics":  {"Messages": cbor.List{cbor.Map{"Code": cbor.String("MaxMetrics"), "Value": cbor.String("too many")}}},
	} {
		server.results = func(cbor.Map) cbor.Map { return answer }
		points, err := s.Statistics(t.Context(), metrics.Query{Expr: "SELECT AVG(latency) FROM slipway", Period: time.Minute}, from, to)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v %v", words, points, err)
		}
	}
}

func TestASourceThatHangsOrIsAwayIsGivenUp(t *testing.T) {
	server := newServer(t)
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	_, err := open(t, Config{Endpoint: hanging.URL, Timeout: 50 * time.Millisecond}).Statistics(t.Context(), latency(metrics.Sum), from, to)
	if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "did not answer within 50ms") {
		t.Error(err)
	}
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	_, err = open(t, Config{Endpoint: away.URL}).Statistics(t.Context(), latency(metrics.Sum), from, to)
	if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err = open(t, Config{Endpoint: server.url}).Statistics(t.Context(), latency(metrics.Sum), from, to)
	if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "cannot be reached or read") {
		t.Error("without credentials: ", err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	newServer(t)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := New(t.Context(), Config{}); !errors.Is(err, problem.InvalidArgument) || !strings.Contains(err.Error(), "region") {
		t.Error(err)
	}
	if _, err := New(t.Context(), Config{Region: "eu-central-1", Endpoint: "localhost:4566"}); !errors.Is(err, problem.InvalidArgument) {
		t.Error(err)
	}
	t.Setenv("AWS_REGION", "us-west-2")
	if s, err := New(t.Context(), Config{}); err != nil || !strings.Contains(s.name, "us-west-2") {
		t.Error(err)
	}
}
