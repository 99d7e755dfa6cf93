package prometheus

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/drivers/metrics/metricstest"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func open(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	metricstest.Run(t, open(t, Config{URL: running(t)}))
}

func minutes(n int) time.Time { return metricstest.Start.Add(time.Duration(n) * time.Minute) }

func read(t *testing.T, s *Source, q metrics.Query, count int) (string, error) {
	t.Helper()
	q.Period = time.Minute
	points, err := s.Statistics(t.Context(), q, minutes(0), minutes(count))
	var out []string
	for _, p := range points {
		out = append(out, fmt.Sprintf("%g:%g", p.Time.Sub(minutes(0)).Minutes(), p.Value))
	}
	return strings.Join(out, " "), err
}

func TestStatisticsAreOfAllTheSeriesThatMatch(t *testing.T) {
	s := open(t, Config{URL: running(t)})
	for statistic, want := range map[string]string{
		metrics.SampleCount: "0:4", metrics.Average: "0:4", metrics.Sum: "0:16", metrics.Minimum: "0:1", metrics.Maximum: "0:10",
	} {
		q := metrics.Query{MetricName: "queue", Dimensions: map[string]string{"app": "web"}, Statistic: statistic}
		if got, err := read(t, s, q, 2); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", statistic, got, err, want)
		}
	}
	q := metrics.Query{MetricName: "queue", Dimensions: map[string]string{"app": "web"}, Statistic: "p90"}
	if _, err := read(t, s, q, 2); !errors.Is(err, problem.InvalidArgument) || !strings.Contains(err.Error(), "gives 2") {
		t.Errorf("a percentile of two series: %v", err)
	}
}

func TestPromQLIsEvaluatedAtTheEndOfEachPeriod(t *testing.T) {
	s := open(t, Config{URL: running(t)})
	for text, want := range map[string]string{
		`last_over_time(latency{route="/buy"}[1m])`: "0:60 1:100 3:9",
		`sum(count_over_time(queue[1m])) > 3`:       "0:4",
		`vector(1) / 0`:                             "", // what is no finite number is no point
		`7`:                                         "0:7 1:7 2:7 3:7",
		`latency{route="/buy"}`:                     "0:60 1:100 2:100 3:9", // Prometheus looks back
		`sum(latency) by (job) > bool 1000 and vector(1)`:       "0:1 1:1 2:1 3:1",
		`quantile_over_time(0.5, latency{route="/buy"}[1m:1s])`: "0:20 1:100 2:100 3:7",
	} {
		if got, err := read(t, s, metrics.Query{Expr: text}, 4); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", text, got, err, want)
		}
	}
}

func TestWhatCannotBeComputedIsTheQuerysFault(t *testing.T) {
	s := open(t, Config{URL: running(t)})
	for words, q := range map[string]metrics.Query{
		"parse error":                      {Expr: "sum(("},
		"gives 2":                          {Expr: "queue"},
		"duplicate":                        {Expr: `latency{route="/buy"} * on() queue`},
		"Prometheus labels":                {MetricName: "queue", Dimensions: map[string]string{"my-app": "x"}, Statistic: metrics.Sum},
		"write PromQL for others, or tm90": {MetricName: "queue", Statistic: "tm90"},
	} {
		_, err := read(t, s, q, 4)
		words, _, _ = strings.Cut(words, ", or ")
		if !errors.Is(err, problem.InvalidArgument) || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// answering is a server that answers every query the same.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestTroubleIsASentenceAboutTheSource(t *testing.T) {
	const empty = `{"status":"success","data":{"resultType":"matrix","result":[]}}`
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	for words, url := range map[string]string{
		"cannot be reached or read":                   closed.URL,
		"answered with a warning: half is missing":    answering(t, 200, strings.Replace(empty, "{", `{"warnings":["half is missing"],`, 1)),
		"answered with an error: server_error":        answering(t, 503, "busy"),
		"answered with an error: client_error":        answering(t, 401, "who are you?"),
		"answered with an error: timeout":             answering(t, 422, `{"status":"error","errorType":"timeout","error":"too slow"}`),
		"the answer is too large":                     answering(t, 200, strings.Repeat(" ", maxAnswer+1)),
		"answered with an error: bad_response":        answering(t, 200, "<html>"),
		"answered with a vector in place of a series": answering(t, 200, strings.Replace(empty, "matrix", "vector", 1)),
	} {
		_, err := read(t, open(t, Config{URL: url}), metrics.Query{Expr: "up"}, 4)
		if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), "Prometheus at "+url) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestASourceThatHangsIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	_, err := read(t, open(t, Config{URL: hanging.URL, Timeout: 50 * time.Millisecond}), metrics.Query{Expr: "up"}, 4)
	if !errors.Is(err, problem.Unavailable) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Error(err)
	}
}

func TestCredentialsAreSentAndNeverSaid(t *testing.T) {
	var header string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer s.Close()
	withUser := strings.Replace(s.URL, "http://", "http://ann:hush@", 1)
	for want, cfg := range map[string]Config{
		"":                   {URL: s.URL},
		"Bearer hush":        {URL: s.URL, Token: "hush"},
		"Basic YW5uOmh1c2g=": {URL: withUser},
	} {
		_, err := read(t, open(t, cfg), metrics.Query{Expr: "up"}, 4)
		if header != want || err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q, want %q: %v", header, want, err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:9090", "ftp://x", "http://", "http://a b"} {
		if _, err := New(Config{URL: url}); !errors.Is(err, problem.InvalidArgument) {
			t.Errorf("%q: %v", url, err)
		}
	}
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{URL: "https://x", CACert: empty}); !errors.Is(err, problem.InvalidArgument) {
		t.Error(err)
	}
}
