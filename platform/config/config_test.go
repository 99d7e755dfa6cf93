package config

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

type remote struct {
	Target string `flag:"target" env:"SLIPWAY_TARGET" help:"address of the service"`
	Token  string `flag:"token" env:"SLIPWAY_TOKEN" secret:"true"`
	Name   string `flag:"-"`
}

type settings struct {
	Listen   string        `flag:"listen" env:"SLIPWAY_LISTEN" default:"127.0.0.1:7001" help:"address to serve on"`
	Insecure bool          `flag:"insecure" env:"SLIPWAY_INSECURE"`
	Every    time.Duration `flag:"every" env:"SLIPWAY_EVERY" default:"5s"`
	Most     int32         `flag:"most" env:"SLIPWAY_MOST" default:"8"`
	Share    float64       `flag:"share"`
	Slots    uint          `flag:"slots"`
	Tags     []string      `flag:"tags" env:"SLIPWAY_TAGS"`
	From     netip.Addr    `flag:"from"`
	Hooks    remote        `flag:"hooks" env:"SLIPWAY_HOOKS"`
	Alarms   remote        `flag:"alarms" env:"SLIPWAY_ALARMS"`
	Log      func(string)  // no tag: left alone

	refuse error
}

func (s *settings) Validate() error { return s.refuse }

func try(into *settings, env map[string]string, args ...string) (string, error) {
	var out bytes.Buffer
	lookup := func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
	err := load("slipway-test", args, into, lookup, &out)
	return out.String(), err
}

func TestAFlagWinsOverTheEnvironmentOverTheStructOverTheDefault(t *testing.T) {
	env := map[string]string{"SLIPWAY_LISTEN": "env:1"}
	for _, c := range []struct {
		name string
		held string
		env  map[string]string
		args []string
		want string
	}{
		{"default", "", nil, nil, "127.0.0.1:7001"},
		{"struct", "struct:1", nil, nil, "struct:1"},
		{"environment", "struct:1", env, nil, "env:1"},
		{"empty environment is none", "struct:1", map[string]string{"SLIPWAY_LISTEN": ""}, nil, "struct:1"},
		{"flag", "struct:1", env, []string{"-listen", "flag:1"}, "flag:1"},
		{"flag with two dashes and =", "", env, []string{"--listen=flag:2"}, "flag:2"},
	} {
		s := &settings{Listen: c.held}
		if _, err := try(s, c.env, c.args...); err != nil || s.Listen != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, s.Listen, err, c.want)
		}
	}
}

func TestEveryTypeIsRead(t *testing.T) {
	s := &settings{}
	_, err := try(s, map[string]string{"SLIPWAY_TAGS": "x"}, "-insecure", "-every", "1m30s", "-most=-3", "-share", "0.5", "-slots", "7",
		"-tags", "a, b,,c", "-from", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if !s.Insecure || s.Every != 90*time.Second || s.Most != -3 || s.Share != 0.5 || s.Slots != 7 ||
		!reflect.DeepEqual(s.Tags, []string{"a", "b", "c"}) || s.From.String() != "192.0.2.1" {
		t.Errorf("read %+v", s)
	}
}

func TestAStructsTagsGoBeforeThoseInside(t *testing.T) {
	s := &settings{}
	_, err := try(s, map[string]string{"SLIPWAY_HOOKS_TARGET": "h:1", "SLIPWAY_TARGET": "wrong"}, "-alarms-target", "a:1", "-hooks-token=t")
	if err != nil || s.Hooks.Target != "h:1" || s.Hooks.Token != "t" || s.Alarms.Target != "a:1" {
		t.Errorf("read %+v, %v", s, err)
	}
}

func TestAllProblemsAreReported(t *testing.T) {
	s := &settings{refuse: errors.Join(
		problem.Violated(problem.Violation{Field: "listen", Rule: "must be host:port"}, problem.Violation{Field: "tls", Rule: "needs both"}),
		errors.New("database_url must be set"))}
	_, err := try(s, map[string]string{"SLIPWAY_EVERY": "soon", "SLIPWAY_INSECURE": "maybe"},
		"-most", "99999999999", "-unknown", "-slots=-1", "-share")
	var bad *Error
	if !errors.As(err, &bad) {
		t.Fatalf("error is %v", err)
	}
	for _, want := range []string{
		`SLIPWAY_EVERY: "soon" is no duration`, `SLIPWAY_INSECURE: "maybe" is no bool`, `-most: "99999999999" is no whole number`,
		"-unknown", "-slots", "-share", "listen: must be host:port", "tls: needs both", "database_url must be set",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if len(bad.Problems) != 9 {
		t.Errorf("%d problems, want 9: %v", len(bad.Problems), err)
	}
	if s.Every != 5*time.Second {
		t.Errorf("a bad value changed the field to %v", s.Every)
	}
}

func TestAnArgumentThatIsNoFlagIsReported(t *testing.T) {
	_, err := try(&settings{}, nil, "-insecure", "true")
	if err == nil || !strings.Contains(err.Error(), `unexpected argument "true"`) {
		t.Errorf("error is %v", err)
	}
}

func TestHelpNamesEverySettingAndNoSecret(t *testing.T) {
	s := &settings{Hooks: remote{Token: "open-sesame"}, refuse: errors.New("not asked")}
	out, err := try(s, map[string]string{"SLIPWAY_ALARMS_TOKEN": "open-too"}, "--help")
	if !errors.Is(err, ErrHelp) {
		t.Fatalf("error is %v, want ErrHelp", err)
	}
	for _, want := range []string{
		"Usage: slipway-test", "-listen string", "address to serve on [SLIPWAY_LISTEN] (default 127.0.0.1:7001)",
		"-every duration", "(default 5s)", "-hooks-target string", "[SLIPWAY_HOOKS_TARGET]", "-tags list", "-insecure bool",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "open-") {
		t.Errorf("the help shows a secret:\n%s", out)
	}
}

func TestAStructThatCannotWorkIsRefused(t *testing.T) {
	for name, into := range map[string]any{
		"no pointer": settings{},
		"nil":        (*settings)(nil),
		"type": &struct {
			C chan int `flag:"c"`
		}{},
		"twice": &struct {
			A string `flag:"a"`
			B string `flag:"a"`
		}{},
	} {
		if err := Load("x", nil, into); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
