package appspec

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

type readers = map[string]func(path string, n *yaml.Node)

func (p *parser) root(n *yaml.Node) {
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

// hooks is an ordered list of mappings with one key.
func (p *parser) hooks(path string, n *yaml.Node) {
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
			p.fail(join(at, key), "is no lifecycle event with a hook: %s are", strings.Join(Events(), ", "))
			continue
		}
		hook := Hook{Event: event}
		p.text(&hook.Name)(join(at, key), resolved(item.Content[1]))
		p.spec.Hooks = append(p.spec.Hooks, hook)
	}
}

// suggest names the known key that differs in case or by a letter.
func suggest(key string, known readers) string {
	var names []string
	for name := range known {
		if strings.EqualFold(name, key) || strings.HasPrefix(strings.ToLower(name), strings.ToLower(key)) {
			return "; did you mean " + name + "?"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return "; known here are " + strings.Join(names, ", ")
}
