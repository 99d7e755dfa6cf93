package requestmetrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// Namespace is where the data belongs: the one of Application Load Balancers.
const Namespace = "AWS/ApplicationELB"

// maxValues is how many distinct values one datum may hold (CloudWatch's PutMetricData).
const maxValues = 150

// keepRemoved is how long a target group that was removed is still collected: requests in flight may end late.
const keepRemoved = 5 * time.Minute

// Dimension is a name and value that is part of a metric's identity.
type Dimension struct{ Name, Value string }

// Datum is samples of one metric: each of Values occurred as often as Counts says.
type Datum struct {
	Name       string
	Dimensions []Dimension
	Time       time.Time
	Values     []float64
	Counts     []float64
	Unit       string
}

// Registry holds the groups in use. All methods are safe for concurrent use.
type Registry struct {
	mu      sync.Mutex
	groups  map[groupKey]*Group
	removed []removedGroup
}

type groupKey struct{ service, group string }

type removedGroup struct {
	key   groupKey
	group *Group
	since time.Time // zero until the first collection
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{groups: make(map[groupKey]*Group)} }

// Group returns the counts of a service's target group.
func (r *Registry) Group(service, targetGroup string) *Group {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := groupKey{service, targetGroup}
	g := r.groups[key]
	if g == nil {
		g = &Group{}
		r.groups[key] = g
	}
	return g
}

// Retain removes the service's target groups that are not in keep.
func (r *Registry) Retain(service string, keep []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, g := range r.groups {
		if key.service == service && !slices.Contains(keep, key.group) {
			delete(r.groups, key)
			r.removed = append(r.removed, removedGroup{key: key, group: g})
		}
	}
}

// Collect returns what was counted since the last call as data of the time at: for each target group, for each service
// (LoadBalancer) and for each pair of them, as an Application Load Balancer has it. Zeros are left out, but for
// RequestCount.
func (r *Registry) Collect(at time.Time) []Datum {
	sums := make(map[groupKey]*counts)
	for key, c := range r.takeAll(at) {
		for _, k := range []groupKey{key, {service: key.service}, {group: key.group}} {
			if sums[k] == nil {
				sums[k] = &counts{}
			}
			sums[k].merge(c)
		}
	}
	keys := slices.SortedFunc(maps.Keys(sums), func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.group, b.group))
	})
	data := make([]Datum, 0, 4*len(keys))
	for _, k := range keys {
		data = appendData(data, at, k.dimensions(), sums[k])
	}
	return data
}

func (r *Registry) takeAll(at time.Time) map[groupKey]counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[groupKey]counts, len(r.groups))
	for key, g := range r.groups {
		all[key] = g.take()
	}
	for i := range r.removed {
		gone := &r.removed[i]
		if gone.since.IsZero() {
			gone.since = at
		}
		c := gone.group.take()
		if c.requests != 0 || c.elb5xx != 0 || c.times != nil || c.connectErr != 0 {
			c.merge(all[gone.key]) // the group may be back
			all[gone.key] = c
		}
	}
	r.removed = slices.DeleteFunc(r.removed, func(g removedGroup) bool { return at.Sub(g.since) > keepRemoved })
	return all
}

func (k groupKey) dimensions() []Dimension {
	var d []Dimension
	if k.group != "" {
		d = append(d, Dimension{"TargetGroup", k.group})
	}
	if k.service != "" {
		d = append(d, Dimension{"LoadBalancer", k.service})
	}
	return d
}

func appendData(data []Datum, at time.Time, dimensions []Dimension, c *counts) []Datum {
	count := func(name string, n int64) {
		d := Datum{Name: name, Dimensions: dimensions, Time: at, Values: []float64{1}, Counts: []float64{float64(n)}, Unit: "Count"}
		if n == 0 {
			d.Values, d.Counts = []float64{0}, []float64{1}
		}
		data = append(data, d)
	}
	count("RequestCount", c.requests)
	for _, m := range []struct {
		name string
		n    int64
	}{
		{"HTTPCode_Target_2XX_Count", c.target[2]},
		{"HTTPCode_Target_3XX_Count", c.target[3]},
		{"HTTPCode_Target_4XX_Count", c.target[4]},
		{"HTTPCode_Target_5XX_Count", c.target[5]},
		{"HTTPCode_ELB_5XX_Count", c.elb5xx},
		{"TargetConnectionErrorCount", c.connectErr},
	} {
		if m.n != 0 {
			count(m.name, m.n)
		}
	}
	if c.times == nil {
		return data
	}
	values, counts := c.times.values()
	for len(values) > 0 {
		n := min(len(values), maxValues)
		data = append(data, Datum{Name: "TargetResponseTime", Dimensions: dimensions, Time: at, Values: values[:n], Counts: counts[:n], Unit: "Seconds"})
		values, counts = values[n:], counts[n:]
	}
	return data
}
