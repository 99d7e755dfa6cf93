package appspec

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

type readers = map[string]func(path string, n *yaml.Node)

func (p *parser) root(n *yaml.Node) {
	lower := map[string]string{"resources": "Resources", "hooks": "Hooks"} // as CodeDeploy's own template of the file has them
	for i := 0; i < len(n.Content); i += 2 {
		if name := lower[n.Content[i].Value]; name != "" {
			n.Content[i].Value = name
		}
	}
	p.keys("", n, readers{"version": p.version, "Resources": p.resources, "Hooks": p.hooks}, "version", "Resources")
}

// resources is a list of one service, under a name of the user's choice.
func (p *parser) resources(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode || len(n.Content) != 1 {
		p.fail(path, "must be a list of exactly one service")
		return
	}
	service := resolved(n.Content[0])
	path += "[0]"
	if service.Kind != yaml.MappingNode || len(service.Content) != 2 {
		p.fail(path, "must be a mapping with one key, the name of the service")
		return
	}
	p.keys(join(path, service.Content[0].Value), service.Content[1], readers{"Type": p.resourceType, "Properties": p.properties}, "Type", "Properties")
}

func (p *parser) resourceType(path string, n *yaml.Node) {
	if n.Value != "AWS::ECS::Service" {
		p.fail(path, "must be AWS::ECS::Service")
	}
}

func (p *parser) properties(path string, n *yaml.Node) {
	p.spec.Service = path
	p.keys(path, n, readers{
		"TaskDefinition": p.text(&p.spec.TaskDefinition), "LoadBalancerInfo": p.loadBalancer,
		"PlatformVersion": p.ignored, "NetworkConfiguration": p.network, "CapacityProviderStrategy": p.capacity,
	}, "TaskDefinition", "LoadBalancerInfo")
}

func (p *parser) loadBalancer(path string, n *yaml.Node) {
	p.keys(path, n, readers{"ContainerName": p.text(&p.spec.ContainerName), "ContainerPort": p.port}, "ContainerName", "ContainerPort")
}

// network is checked, for a mistake in it is one on AWS too, and then ignored: when it is there it must be there in full.
func (p *parser) network(path string, n *yaml.Node) {
	p.ignored(path, n)
	inner := func(path string, n *yaml.Node) {
		p.keys(path, n, readers{"Subnets": p.list, "SecurityGroups": p.list, "AssignPublicIp": p.enabled}, "Subnets", "SecurityGroups", "AssignPublicIp")
	}
	p.keys(path, n, readers{"AwsvpcConfiguration": inner}, "AwsvpcConfiguration")
}

func (p *parser) list(path string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		p.fail(path, "must be a list")
	}
}

func (p *parser) enabled(path string, n *yaml.Node) {
	if n.Value != "ENABLED" && n.Value != "DISABLED" {
		p.fail(path, "must be ENABLED or DISABLED")
	}
}

func (p *parser) capacity(path string, n *yaml.Node) {
	p.ignored(path, n)
	p.list(path, n)
	for i, item := range n.Content {
		var provider string
		p.keys(fmt.Sprintf("%s[%d]", path, i), item, readers{"CapacityProvider": p.text(&provider), "Base": skip, "Weight": skip}, "CapacityProvider")
	}
}

func skip(string, *yaml.Node) {}

// hooks is an ordered list of mappings with one key. An event has one hook at most, so the order is that of the events.
func (p *parser) hooks(path string, n *yaml.Node) {
	if n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.fail(path, "must be a list of mappings with one key each, such as - AfterInstall: name")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		item = resolved(item)
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 {
			p.fail(at, "must be a mapping with one key, a lifecycle event")
			continue
		}
		key := item.Content[0].Value
		event, known := eventOf(key)
		if !known {
			p.fail(join(at, key), "is no lifecycle event with a hook%s", suggest(key, Events()))
			continue
		}
		hook := Hook{Event: event, Path: join(at, key)}
		p.text(&hook.Name)(hook.Path, resolved(item.Content[1]))
		if slices.ContainsFunc(p.spec.Hooks, func(h Hook) bool { return h.Event == event }) {
			p.fail(hook.Path, "is a second hook for %s; an event has one", event)
		}
		p.spec.Hooks = append(p.spec.Hooks, hook)
	}
}
