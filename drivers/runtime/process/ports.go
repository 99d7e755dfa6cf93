package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// loopback is where every port is.
const loopback = "127.0.0.1"

// portPool gives out loopback ports. A port is free when no task has it and nothing listens on it now; that another
// program takes it before the task does is the task's failure. Ports go round, so that one that was just given back
// is not soon another task's.
type portPool struct {
	min, max int

	mu    sync.Mutex
	next  int
	owner map[int]string // task by port
}

func newPortPool(lowest, highest int) *portPool {
	// A random beginning keeps two drivers on one machine apart.
	return &portPool{
		min: lowest, max: highest,
		next:  lowest + rand.IntN(highest-lowest+1),
		owner: make(map[int]string),
	}
}

// assign gives the task a port for each of wanted, or none and the reason.
func (p *portPool) assign(task string, wanted []runtime.Port) ([]int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ports []int
	for _, w := range wanted {
		port, err := p.one(task, w.HostPort)
		if err != nil {
			p.giveBack(ports)
			return nil, err
		}
		p.owner[port] = task
		ports = append(ports, port)
	}
	return ports, nil
}

// reserve notes ports that a task of an earlier run has.
func (p *portPool) reserve(task string, ports []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, port := range ports {
		p.owner[port] = task
	}
}

func (p *portPool) release(ports []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveBack(ports)
}

func (p *portPool) one(task string, fixed int) (int, error) {
	if fixed != 0 {
		if owner, taken := p.owner[fixed]; taken {
			return 0, fmt.Errorf("port %d is already assigned to task %s", fixed, owner)
		}
		return fixed, nil
	}
	for range p.max - p.min + 1 {
		port := p.next
		p.next++
		if p.next > p.max {
			p.next = p.min
		}
		if _, taken := p.owner[port]; !taken && free(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free for task %s", p.min, p.max, task)
}

// giveBack frees ports. The lock is held.
func (p *portPool) giveBack(ports []int) {
	for _, port := range ports {
		delete(p.owner, port)
	}
}

// free says whether nothing listens on the port now.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
