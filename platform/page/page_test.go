package page_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
)

type cursor struct {
	Name string
	Time int64
}

func TestATokenRoundTrips(t *testing.T) {
	want := cursor{Name: "web/ü?", Time: 1<<62 + 1}
	token := page.Encode(want)
	if strings.ContainsAny(token, "+/=") {
		t.Errorf("token %q is not safe in a URL", token)
	}
	var got cursor
	if err := page.Decode(token, &got); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestTheEmptyTokenIsTheFirstPage(t *testing.T) {
	got := cursor{Name: "kept"}
	if err := page.Decode("", &got); err != nil || got.Name != "kept" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAForeignTokenIsInvalid(t *testing.T) {
	raw := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, token := range map[string]string{
		"no base64":   "%%%",
		"no JSON":     raw("hello"),
		"other token": page.Encode(struct{ Other int }{1}),
		"other type":  page.Encode([]int{1}),
		"more behind": raw(`{"Name":"a"}{"Name":"b"}`),
		"long":        page.Encode(cursor{Name: strings.Repeat("x", 5000)}),
	} {
		err := page.Decode(token, &cursor{})
		if !errors.Is(err, problem.InvalidArgument) || problem.As(err).Violations[0].Field != "page_token" {
			t.Errorf("%s: %v, want invalid page_token", name, err)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct{ requested, def, maximum, want int32 }{
		{0, 50, 500, 50}, {-1, 50, 500, 50}, {1, 50, 500, 1}, {500, 50, 500, 500}, {501, 50, 500, 500}, {0, 50, 20, 20},
	} {
		if got := page.Size(c.requested, c.def, c.maximum); got != c.want {
			t.Errorf("Size(%d, %d, %d) = %d, want %d", c.requested, c.def, c.maximum, got, c.want)
		}
	}
}
