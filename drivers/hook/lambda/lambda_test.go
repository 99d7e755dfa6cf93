package lambda_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/hook/lambda"
)

// server speaks the Invoke API: what it got, and what it answers.
type server struct {
	got    *http.Request
	body   string
	answer http.HandlerFunc
	url    string
}

func newServer(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "")
	s := &server{answer: answer}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.got, s.body = r, string(body)
		s.answer(w, r)
	}))
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

func (s *server) invoke(t *testing.T, f lambda.Function) (lambda.Returned, error) {
	t.Helper()
	return lambda.New(lambda.Config{Region: "eu-north-1", Endpoint: s.url, MaxBody: 1000}).Invoke(t.Context(), f, []byte(`{"executionId":"x"}`))
}

func returns(status int, header map[string]string, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// The request is that of AWS's API reference, signed for the region and the service.
func TestInvokeIsAWSsCall(t *testing.T) {
	s := newServer(t, returns(http.StatusOK, map[string]string{"X-Amz-Executed-Version": "$LATEST"}, `{"hookStatus":"SUCCEEDED"}`))
	for _, tt := range []struct {
		function     lambda.Function
		path, region string
	}{
		{lambda.Function{Name: "smoke"}, "/2015-03-31/functions/smoke/invocations", "eu-north-1"},
		{lambda.Function{Name: "smoke", Qualifier: "live"}, "/2015-03-31/functions/smoke/invocations?Qualifier=live", "eu-north-1"},
		{
			lambda.Function{Name: "arn:aws:lambda:us-west-2:123456789012:function:smoke"},
			"/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A123456789012%3Afunction%3Asmoke/invocations", "us-west-2",
		},
	} {
		r, err := s.invoke(t, tt.function)
		if err != nil || string(r.Payload) != `{"hookStatus":"SUCCEEDED"}` || r.Error != "" {
			t.Errorf("%+v, %v", r, err)
		}
		if s.got.Method != http.MethodPost || s.got.URL.RequestURI() != tt.path || s.body != `{"executionId":"x"}` {
			t.Errorf("%s %s %s, want %s", s.got.Method, s.got.URL.RequestURI(), s.body, tt.path)
		}
		if kind := s.got.Header.Get("X-Amz-Invocation-Type"); kind != "RequestResponse" {
			t.Errorf("the invocation type is %q", kind)
		}
		auth := s.got.Header.Get("Authorization")
		if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(auth, "/"+tt.region+"/lambda/aws4_request") {
			t.Errorf("signed as %q", auth)
		}
	}
}

func TestAnErrorOfTheFunctionIsTold(t *testing.T) {
	s := newServer(t, nil)
	for body, want := range map[string]string{
		`{"errorMessage":"2026-01-01 Task timed out after 3.00 seconds"}`:                  "Unhandled: 2026-01-01 Task timed out after 3.00 seconds",
		`{"errorType":"ValueError","errorMessage":"no such page","stackTrace":["line 1"]}`: "Unhandled: ValueError: no such page",
		`not JSON`: "Unhandled",
	} {
		s.answer = returns(http.StatusOK, map[string]string{"X-Amz-Function-Error": "Unhandled"}, body)
		if r, err := s.invoke(t, lambda.Function{Name: "smoke"}); err != nil || r.Error != want || string(r.Payload) != body {
			t.Errorf("%+v, %v, want %q", r, err, want)
		}
	}
}

func TestWhatLambdaRefuses(t *testing.T) {
	s := newServer(t, nil)
	for _, tt := range []struct {
		status int
		code   string
		again  bool
	}{
		{http.StatusTooManyRequests, "TooManyRequestsException", true},
		{http.StatusInternalServerError, "ServiceException", true},
		{http.StatusBadGateway, "EC2ThrottledException", true},
		{http.StatusConflict, "ResourceConflictException", true},
		{http.StatusNotFound, "ResourceNotFoundException", false},
		{http.StatusForbidden, "AccessDeniedException", false},
		{http.StatusBadRequest, "InvalidRequestContentException", false},
		{http.StatusRequestEntityTooLarge, "RequestTooLargeException", false},
	} {
		s.answer = returns(tt.status, map[string]string{"X-Amzn-Errortype": tt.code}, `{"Type":"User","message":"because"}`)
		_, err := s.invoke(t, lambda.Function{Name: "smoke"})
		var refused *lambda.Error
		if !errors.As(err, &refused) || refused.Again != tt.again || refused.Reached || refused.Text != tt.code+": because" {
			t.Errorf("%d: %+v", tt.status, err)
		}
	}
}

func TestACallThatBreaksOff(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	var refused *lambda.Error
	if _, err := s.invoke(t, lambda.Function{Name: "smoke"}); !errors.As(err, &refused) || !refused.Again || !refused.Reached || refused.Text != "EOF" {
		t.Errorf("closed: %+v", err)
	}
	s.url = "http://127.0.0.1:1"
	if _, err := s.invoke(t, lambda.Function{Name: "smoke"}); !errors.As(err, &refused) || !refused.Again || refused.Reached || !strings.Contains(refused.Text, "refused") {
		t.Errorf("nobody there: %+v", err)
	}
}

func TestAnAnswerIsReadToTheBoundAndOneMore(t *testing.T) {
	s := newServer(t, returns(http.StatusOK, nil, strings.Repeat("x", 5000)))
	if r, err := s.invoke(t, lambda.Function{Name: "smoke"}); err != nil || len(r.Payload) != 1001 {
		t.Errorf("%d bytes, %v", len(r.Payload), err)
	}
}

func TestWithoutARegionItSaysWhereToSetOne(t *testing.T) {
	s := newServer(t, nil)
	_, err := lambda.New(lambda.Config{Endpoint: s.url}).Invoke(t.Context(), lambda.Function{Name: "smoke"}, nil)
	if err == nil || !strings.Contains(err.Error(), "-lambda-region") {
		t.Errorf("%v", err)
	}
}
