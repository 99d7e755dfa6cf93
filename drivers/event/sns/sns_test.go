package sns_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/drivers/event/sns"
)

// serve speaks SNS's query protocol: it answers each call so, and hands out the parameters.
func serve(t *testing.T, code int, answer string) (string, <-chan url.Values) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	got := make(chan url.Values, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" ||
			!strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ||
			!strings.Contains(r.Header.Get("Authorization"), "/eu-north-1/sns/aws4_request") {
			t.Errorf("%s %s %v: %v", r.Method, r.URL, r.Header, err)
		}
		got <- form
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

const published = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult>` +
	`<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></PublishResponse>`

func send(t *testing.T, endpoint, topic, key string) event.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return sns.New(event.NewClient(event.ClientConfig{})).Send(ctx, event.Target{Address: topic, Region: "eu-north-1", Endpoint: endpoint}, event.Message{
		ID: "8a3c-1", OrderKey: key, Source: "aws.ecs", DetailType: "ECS Service Action", Body: []byte(`{"version":"0"}`),
	})
}

const topic = "arn:aws:sns:eu-north-1:123456789012:events"

func flat(form url.Values) map[string]string {
	all := make(map[string]string, len(form))
	for name, values := range form {
		all[name] = strings.Join(values, "|")
	}
	return all
}

// attributes are in any order; they are taken out and returned by name.
func attributes(form map[string]string) map[string]string {
	found := map[string]string{}
	for name, value := range form {
		prefix, ok := strings.CutSuffix(name, ".Name")
		if !ok || !strings.HasPrefix(prefix, "MessageAttributes.entry.") {
			continue
		}
		found[value] = form[prefix+".Value.DataType"] + " " + form[prefix+".Value.StringValue"]
		maps.DeleteFunc(form, func(name, _ string) bool { return strings.HasPrefix(name, prefix+".") })
	}
	return found
}

func TestAnEventIsPublished(t *testing.T) {
	endpoint, got := serve(t, http.StatusOK, published)
	if r := send(t, endpoint, topic, "d-7"); !r.Delivered {
		t.Fatalf("%+v", r)
	}
	form := flat(<-got)
	if found := attributes(form); !maps.Equal(found, map[string]string{
		"id": "String 8a3c-1", "source": "String aws.ecs", "detail-type": "String ECS Service Action",
	}) {
		t.Errorf("attributes %v", found)
	}
	want := map[string]string{"Action": "Publish", "Version": "2010-03-31", "TopicArn": topic, "Message": `{"version":"0"}`}
	if !maps.Equal(form, want) {
		t.Errorf("%v, want %v", form, want)
	}
}

func TestAFIFOTopicGetsGroupAndDeduplicationID(t *testing.T) {
	endpoint, got := serve(t, http.StatusOK, published)
	for _, key := range []string{"d-7", "alarm web 5xx", strings.Repeat("d", 129)} {
		if r := send(t, endpoint, topic+".fifo", key); !r.Delivered {
			t.Fatalf("%+v", r)
		}
		form := <-got
		if form.Get("MessageDeduplicationId") != "8a3c-1" || form.Get("TopicArn") != topic+".fifo" {
			t.Errorf("%v", form)
		}
		// A key that SNS would not take is given as its hash.
		if group := form.Get("MessageGroupId"); group != key && (key == "d-7" || len(group) != 64) {
			t.Errorf("group %q of %q", group, key)
		}
	}
}

func TestWhatSNSRefusesIsTriedAgain(t *testing.T) {
	endpoint, got := serve(t, http.StatusNotFound, `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>`+
		`<Code>NotFound</Code><Message>Topic does not exist</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`)
	if r := send(t, endpoint, topic, "d-7"); r != (event.Result{Reason: "NotFound: Topic does not exist"}) {
		t.Errorf("%+v", r)
	}
	<-got
	if len(got) != 0 {
		t.Error("the SDK tried again by itself")
	}
}
