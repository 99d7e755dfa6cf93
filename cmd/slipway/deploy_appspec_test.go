package main

import (
	"strings"
	"testing"
)

func TestDeployTakesAnAppSpec(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	f.drive = succeed
	file := write(t, "appspec.yaml", "version: 0.0\n")
	s := slipway(t, address, "deploy", "web", "--appspec", file, "--config", "CodeDeployDefault.ECSAllAtOnce", "--request-id", "r-1")
	s.want(t, 0, "note: PlatformVersion is for AWS alone", "deployment d-2 of web: web:1 -> web:2", "web:2 is live")
	r := f.specs[0]
	if r.GetAppSpecContent().GetContent() != "version: 0.0\n" || r.GetDeploymentConfigName() != "CodeDeployDefault.ECSAllAtOnce" || r.GetRequestId() != "r-1" {
		t.Errorf("asked for %v", r)
	}
	f.addService("api")
	terminal{stdin: "from stdin"}.slipway(t.Context(), address, "deploy", "api", "--appspec", "-", "--detach").want(t, 0, "follow it with: slipway watch d-")
	if r := f.specs[1]; r.GetAppSpecContent().GetContent() != "from stdin" || r.GetRequestId() == "" || r.GetService() != "api" {
		t.Errorf("asked for %v", r)
	}
}

func TestDeployRefusesAnAppSpecInOneSentence(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	large := write(t, "large.yaml", strings.Repeat("#", maxAppSpec+1))
	slipway(t, address, "deploy", "web", "--appspec", large).want(t, 2, "large.yaml has more than 102400 bytes")
	empty := write(t, "empty.yaml", "")
	slipway(t, address, "deploy", "web", "--appspec", empty).want(t, 2, "empty.yaml: ")
	slipway(t, address, "deploy", "web", "--appspec", "none.yaml").want(t, 2, "none.yaml: no such file")
	slipway(t, address, "deploy", "web", "--appspec", empty, "--task-definition", "web:2").want(t, 2, "--appspec names the task definition")
	if len(f.specs) > 0 {
		t.Errorf("asked for %v", f.specs)
	}
}
