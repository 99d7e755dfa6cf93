package grpcapi_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Page after page gives everything once and in order, for every size of the page.
func TestPagesGiveEverythingOnce(t *testing.T) {
	t.Parallel()
	e := serve(t)
	crowd(e)
	tested := map[string]bool{"ListTasks": true} // TestTasksOfTheRuntimeAreListedInPages
	for _, l := range lists(e) {
		tested[l.method] = true
		everythingOnce(t, e, l)
		brokenToken(t, e, l)
	}
	for _, file := range contract() {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				if m := methods.Get(j); m.Input().Fields().ByName("page_token") != nil && !tested[string(m.Name())] {
					t.Errorf("%s has pages and is not tested", m.Name())
				}
			}
		}
	}
}

func TestTasksOfTheRuntimeAreListedInPages(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.work()
	for _, service := range []string{"default/web", "default/shop", "other/web"} {
		id := strings.ReplaceAll(service, "/", "-")
		order := runtime.TaskSet{
			ID: id, Service: service, TaskDefinition: "web:1", Containers: []runtime.Container{{Name: "app", Essential: true}},
			Tasks: []string{id + "-1", id + "-2", id + "-10"},
		}
		if err := e.runtime.EnsureTaskSet(t.Context(), 1, order); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the engine knows the tasks", func() bool { return len(e.engine.AllTasks()) == 9 })
	for _, l := range []list{
		{"ListTasks", "tasks", &orchestratorpb.ListTasksRequest{}, text("name"), []string{
			"default-shop-1 ", "default-shop-10 ", "default-shop-2 ", "default-web-1 ", "default-web-10 ", "default-web-2 ",
			"other-web-1 ", "other-web-10 ", "other-web-2 ",
		}},
		{"ListTasks", "tasks", &orchestratorpb.ListTasksRequest{Service: "web", Cluster: "default"}, text("name"), []string{
			"default-web-1 ", "default-web-10 ", "default-web-2 ",
		}},
		{"ListTasks", "tasks", &orchestratorpb.ListTasksRequest{Cluster: "other"}, text("cluster", "service"), []string{"other web ", "other web ", "other web "}},
		{"ListTasks", "tasks", &orchestratorpb.ListTasksRequest{Service: "nobody"}, text("name"), nil},
	} {
		everythingOnce(t, e, l)
		brokenToken(t, e, l)
	}
}

func everythingOnce(t *testing.T, e *env, l list) {
	t.Helper()
	for size := int32(1); size <= int32(len(l.want))+1; size++ {
		var got []string
		for token, pages := "", 0; ; pages++ {
			page := e.page(l, token, size)
			if len(page.items) > int(size) || page.next != "" && len(page.items) != int(size) || pages > len(l.want) {
				t.Fatalf("%s: page %d of size %d has %d items, next %q", l.method, pages, size, len(page.items), page.next)
			}
			for _, m := range page.items {
				got = append(got, l.name(m))
			}
			if token = page.next; token == "" {
				break
			}
		}
		if !slices.Equal(got, l.want) {
			t.Errorf("%s %v by %d:\n%q, want\n%q", l.method, l.req, size, got, l.want)
		}
	}
}

// brokenToken sends a token that is none, and one of another call.
func brokenToken(t *testing.T, e *env, l list) {
	t.Helper()
	for _, token := range []string{"nonsense!", "eyJPdGhlciI6MX0"} { // {"Other":1}
		req := proto.Clone(l.req).ProtoReflect()
		req.Set(req.Descriptor().Fields().ByName("page_token"), protoreflect.ValueOfString(token))
		err := e.call(methodNamed(l.method), req.Interface())
		p := refused(t, l.method+" with the token "+token, err, problem.InvalidArgument, "INVALID_FIELD")
		if len(p.Violations) != 1 || p.Violations[0].Field != "page_token" {
			t.Errorf("%s: violations %v, want page_token", l.method, p.Violations)
		}
	}
}
