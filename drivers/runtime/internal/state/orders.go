package state

import (
	"context"
	"maps"
	"path/filepath"
	"reflect"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// Orders is the orders in force of every service, each durable before it is answered. Its methods may be called by several
// goroutines at once.
type Orders struct {
	disk Disk
	dir  string

	mu       sync.Mutex
	services map[string]*Service
}

// OpenOrders reads the orders that lie in dir.
func OpenOrders(disk Disk, dir string) (*Orders, error) {
	o := &Orders{disk: disk, dir: dir, services: map[string]*Service{}}
	err := Load(dir, func(s *Service) error {
		o.services[s.Service] = s
		return nil
	})
	return o, err
}

// Services returns a copy of what is in force.
func (o *Orders) Services() map[string]*Service {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.services)
}

// Set returns the order of a task set.
func (o *Orders) Set(key Key) (Set, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.services[key.Service]; s != nil {
		set, ok := s.Sets[key.ID]
		return set, ok
	}
	return Set{}, false
}

// Generation returns the highest generation seen of a service, 0 if none was.
func (o *Orders) Generation(service string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.services[service]; s != nil {
		return s.Generation
	}
	return 0
}

// Ensure puts an order in force, behind the fence.
func (o *Orders) Ensure(ctx context.Context, generation int64, set runtime.TaskSet) (Set, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	service, err := o.admit(ctx, set.Service, generation)
	if err != nil {
		return Set{}, err
	}
	record := service.Sets[set.ID].List(set.Tasks)
	record.TaskDefinition, record.Containers, record.Deleted = set.TaskDefinition, set.Containers, false
	return record, o.accept(service.With(generation, set.ID, record))
}

// Delete puts the end of a task set in force, behind the fence. It returns false when there is no such set.
func (o *Orders) Delete(ctx context.Context, generation int64, key Key) (Set, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	service, err := o.admit(ctx, key.Service, generation)
	if err != nil {
		return Set{}, false, err
	}
	set, known := service.Sets[key.ID]
	if !known {
		return Set{}, false, o.accept(&Service{Service: key.Service, Generation: generation, Sets: service.Sets})
	}
	set = set.List(nil)
	set.Deleted = true
	return set, true, o.accept(service.With(generation, key.ID, set))
}

// Change changes a set's record, outside the fence: what the runtime itself has found out.
func (o *Orders) Change(key Key, change func(*Set)) error { return o.Restore(key, 0, change) }

// Restore is Change for an order that was lost: the fence is afterwards at least the generation.
func (o *Orders) Restore(key Key, generation int64, change func(*Set)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	service := o.services[key.Service]
	if service == nil {
		service = &Service{Service: key.Service}
	}
	set := service.Sets[key.ID]
	change(&set)
	return o.accept(service.With(max(service.Generation, generation), key.ID, set))
}

// Forget forgets a deleted set.
func (o *Orders) Forget(key Key) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	service := o.services[key.Service]
	if service == nil || !service.Sets[key.ID].Deleted {
		return nil
	}
	return o.accept(service.Without(key.ID))
}

// admit returns the service's record, an empty one if there is none, or why the order is refused. The lock is held.
func (o *Orders) admit(ctx context.Context, name string, generation int64) (*Service, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	service := o.services[name]
	if service == nil {
		return &Service{Service: name, Generation: generation}, nil
	}
	return service, runtime.CheckGeneration(name, generation, service.Generation)
}

// accept makes next the service's record, first on disk. The lock is held.
func (o *Orders) accept(next *Service) error {
	if current := o.services[next.Service]; current != nil && reflect.DeepEqual(current, next) {
		return nil
	}
	if err := o.disk.Write(filepath.Join(o.dir, FileName(next.Service)+".json"), next); err != nil {
		return err
	}
	o.services[next.Service] = next
	return nil
}
