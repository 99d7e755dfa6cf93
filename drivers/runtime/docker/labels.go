package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// The labels of a container.
const (
	ownerLabel          = "io.slipway.owner"
	engineLabel         = "io.slipway.engine"
	taskLabel           = "io.slipway.task"
	taskSetLabel        = "io.slipway.task-set"
	serviceLabel        = "io.slipway.service"
	taskDefinitionLabel = "io.slipway.task-definition"
	generationLabel     = "io.slipway.generation" // of the order that first listed the task
	startTimeLabel      = "io.slipway.start-time" // of the task
	containerLabel      = "io.slipway.container"  // its name in the task
	specHashLabel       = "io.slipway.spec-hash"  // of its definition, without its environment
	containersLabel     = "io.slipway.containers" // of the task, in their order: what a driver that lost its state must know of them
)

// labels says who the i-th container is. The environment is left out, also of the hash: it may hold secrets, and labels are seen
// by many.
func (r *record) labels(owner string, i int) map[string]string {
	specs := make([]runtime.Container, len(r.Containers))
	for i, c := range r.Containers {
		specs[i] = runtime.Container{Name: c.Name, Essential: c.Essential, StopTimeout: c.StopTimeout, Ports: c.Ports, HealthCheck: c.HealthCheck}
	}
	return map[string]string{
		ownerLabel: owner, engineLabel: r.Engine, taskLabel: r.Task.Name, taskSetLabel: r.Task.TaskSet, serviceLabel: r.Task.Service,
		taskDefinitionLabel: r.TaskDefinition, generationLabel: strconv.FormatInt(r.Generation, 10), startTimeLabel: startTime(r.Task.StartTime),
		containerLabel: r.Containers[i].Name, specHashLabel: specHash(r.Containers[i]), containersLabel: string(encoded(specs)),
	}
}

func startTime(at time.Time) string { return at.Format(time.RFC3339Nano) }

func specHash(c runtime.Container) string {
	c.Environment = nil
	sum := sha256.Sum256(encoded(c))
	return hex.EncodeToString(sum[:8])
}

func encoded(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("docker: a container has nothing that JSON has not: " + err.Error())
	}
	return body
}

// recordOf is the record of a task by the labels of one of its containers.
func recordOf(labels map[string]string, engine string) (record, error) {
	var containers []runtime.Container
	if err := json.Unmarshal([]byte(labels[containersLabel]), &containers); err != nil {
		return record{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, labels[startTimeLabel])
	if err != nil {
		return record{}, err
	}
	set := runtime.TaskSet{ID: labels[taskSetLabel], Service: labels[serviceLabel], TaskDefinition: labels[taskDefinitionLabel], Containers: containers}
	if set.ID == "" || set.Service == "" || len(containers) == 0 {
		return record{}, errors.New("a label is missing")
	}
	generation, err := strconv.ParseInt(labels[generationLabel], 10, 64)
	if err != nil {
		return record{}, err
	}
	r := newRecord(set, generation, labels[taskLabel], at.UTC())
	r.Engine, r.Begun = engine, true
	return r, nil
}
