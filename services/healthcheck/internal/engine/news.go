package engine

import (
	"context"
	"strings"
)

// A message to the other replicas is its sender, then what was changed: targets by group and id, and an empty one for groups.
const (
	separator  = "\x1f"
	within     = "\x1e"
	maxMessage = 7000 // bytes; PostgreSQL's limit is 8000
)

// news is what others are to be told.
type news struct {
	groups  bool
	targets map[Key]bool
}

// messages takes the news from a sender, in messages as long as they may be.
func (n *news) messages(from string) []string {
	var items []string
	if n.groups {
		items = append(items, "")
	}
	for key := range n.targets {
		items = append(items, key.Group+within+key.ID)
	}
	n.groups = false
	clear(n.targets)
	var list []string
	for len(items) > 0 {
		var b strings.Builder
		b.WriteString(from)
		for len(items) > 0 && b.Len()+len(items[0]) < maxMessage {
			b.WriteString(separator + items[0])
			items = items[1:]
		}
		list = append(list, b.String())
	}
	return list
}

// tell tells the other replicas, if there are any. Who misses the message finds out by comparing (see follow).
func (e *Engine) tell(ctx context.Context) {
	if e.leases == nil {
		return
	}
	members := e.leases.Members()
	e.mu.Lock()
	messages := e.shared.news.messages(e.leases.Holder())
	e.mu.Unlock()
	if members == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	for _, message := range messages {
		if err := e.leases.Tell(ctx, message); err != nil {
			e.log.Debug("other replicas could not be told", "cause", err)
			return
		}
	}
}
