package cloudwatch

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/slipway-deploy/slipway/drivers/metrics/metricstest"
)

const operation = "/service/GraniteServiceVersion20100801/operation/GetMetricData"

// server speaks GetMetricData as CloudWatch does: Smithy RPC v2, CBOR bodies, a signature on each request. It has the data of
// the suite and answers in pages.
type server struct {
	t        *testing.T
	url      string
	pageSize int

	mu       sync.Mutex
	requests []cbor.Map
	headers  []http.Header
	// trouble, if there is any, is answered first, one for each request; nil is none.
	trouble []func(w http.ResponseWriter)
	// results replaces what was computed.
	results func(request cbor.Map) cbor.Map
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, pageSize: 500}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.url = h.URL
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	value, decodeErr := cbor.Decode(body)
	request, ok := value.(cbor.Map)
	if err != nil || decodeErr != nil || !ok || r.Method != http.MethodPost || r.URL.Path != operation {
		s.t.Errorf("no GetMetricData: %s %s %v %v", r.Method, r.URL.Path, err, decodeErr)
		return
	}
	s.mu.Lock()
	s.requests, s.headers = append(s.requests, request), append(s.headers, r.Header.Clone())
	var first func(http.ResponseWriter)
	if len(s.trouble) > 0 {
		first, s.trouble = s.trouble[0], s.trouble[1:]
	}
	s.mu.Unlock()
	if first != nil {
		first(w)
		return
	}
	if s.results != nil {
		send(w, http.StatusOK, s.results(request))
		return
	}
	send(w, http.StatusOK, s.compute(request))
}

func send(w http.ResponseWriter, status int, body cbor.Map) {
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.WriteHeader(status)
	_, _ = w.Write(cbor.Encode(body))
}

// refuse is an error as CloudWatch answers it; code is the code that clients of the older query protocol know.
func refuse(status int, shape, code, message string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("X-Amzn-Query-Error", code+";Sender")
		send(w, status, cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + shape), "message": cbor.String(message)})
	}
}

// compute answers the page that the request asks for.
func (s *server) compute(request cbor.Map) cbor.Map {
	offset := 0
	if token, ok := request["NextToken"].(cbor.String); ok {
		offset, _ = strconv.Atoi(string(token))
	}
	start, _ := cbor.AsTime(request["StartTime"])
	end, _ := cbor.AsTime(request["EndTime"])
	out, more := cbor.Map{}, false
	var results cbor.List
	for _, q := range request["MetricDataQueries"].(cbor.List) {
		query := q.(cbor.Map)
		stat := query["MetricStat"].(cbor.Map)
		period, _ := cbor.AsInt64(stat["Period"])
		times, values := cbor.List{}, cbor.List{}
		samples := find(stat["Metric"].(cbor.Map))
		for at, i := start, 0; at.Before(end); at = at.Add(time.Duration(period) * time.Second) {
			in := within(samples, at, time.Duration(period)*time.Second)
			if len(in) == 0 {
				continue
			}
			if i++; i > offset && i <= offset+s.pageSize {
				times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(at.Unix())})
				values = append(values, cbor.Float64(statistic(string(stat["Stat"].(cbor.String)), in)))
			} else if i > offset {
				more = true
				break
			}
		}
		results = append(results, cbor.Map{
			"Id": query["Id"], "Label": cbor.String("latency"), "StatusCode": cbor.String("Complete"), "Timestamps": times, "Values": values,
		})
	}
	if more {
		out["NextToken"] = cbor.String(strconv.Itoa(offset + s.pageSize))
		for _, r := range results {
			r.(cbor.Map)["StatusCode"] = cbor.String("PartialData")
		}
	}
	out["MetricDataResults"] = results
	return out
}

// find returns the samples of a metric: its whole identity has to fit.
func find(metric cbor.Map) []metricstest.Sample {
	dimensions := map[string]string{}
	if list, ok := metric["Dimensions"].(cbor.List); ok {
		for _, d := range list {
			dimensions[string(d.(cbor.Map)["Name"].(cbor.String))] = string(d.(cbor.Map)["Value"].(cbor.String))
		}
	}
	for _, s := range metricstest.Data() {
		if metric["Namespace"] == cbor.String(metricstest.Namespace) && metric["MetricName"] == cbor.String(s.Name) &&
			fmt.Sprint(dimensions) == fmt.Sprint(s.Dimensions) {
			return s.Samples
		}
	}
	return nil
}

func within(samples []metricstest.Sample, from time.Time, period time.Duration) []float64 {
	first, _ := slices.BinarySearchFunc(samples, from, func(s metricstest.Sample, t time.Time) int { return s.Time.Compare(t) })
	var in []float64
	for _, s := range samples[first:] {
		if !s.Time.Before(from.Add(period)) {
			break
		}
		in = append(in, s.Value)
	}
	return in
}

func statistic(name string, in []float64) float64 {
	sum := 0.0
	for _, v := range in {
		sum += v
	}
	switch name {
	case "SampleCount":
		return float64(len(in))
	case "Average":
		return sum / float64(len(in))
	case "Sum":
		return sum
	case "Minimum":
		return slices.Min(in)
	case "Maximum":
		return slices.Max(in)
	}
	sorted := slices.SortedFunc(slices.Values(in), cmp.Compare[float64])
	p, _ := strconv.ParseFloat(name[1:], 64)
	at := p / 100 * float64(len(sorted)-1)
	low, high := sorted[int(math.Floor(at))], sorted[int(math.Ceil(at))]
	return low + (high-low)*(at-math.Floor(at))
}
