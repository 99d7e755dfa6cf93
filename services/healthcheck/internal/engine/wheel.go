package engine

import (
	"context"
	"sync"
	"time"
)

// wheel is a hashed timer wheel: it fires tens of thousands of periodic checks without a timer or a goroutine for each.
// An entry lies in the slot of its due tick and waits for as many rounds as the wheel must still turn.
type wheel struct {
	tick  time.Duration
	mu    sync.Mutex
	slots []map[*probed]int // entry -> rounds left
	where map[*probed]int   // entry -> slot
	at    int
}

const (
	wheelTick  = 10 * time.Millisecond
	wheelSlots = 1024
)

func newWheel() *wheel {
	w := &wheel{tick: wheelTick, slots: make([]map[*probed]int, wheelSlots), where: map[*probed]int{}}
	for i := range w.slots {
		w.slots[i] = map[*probed]int{}
	}
	return w
}

// add fires the entry once after the delay, on a tick. An entry that waits already is moved.
func (w *wheel) add(p *probed, delay time.Duration) {
	ticks := max(int((delay+w.tick-1)/w.tick), 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(p)
	slot := (w.at + ticks) % len(w.slots)
	w.slots[slot][p] = (ticks - 1) / len(w.slots)
	w.where[p] = slot
}

// remove takes an entry off; it need not be there.
func (w *wheel) remove(p *probed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(p)
}

func (w *wheel) take(p *probed) {
	if slot, ok := w.where[p]; ok {
		delete(w.slots[slot], p)
		delete(w.where, p)
	}
}

// turn moves on by one tick and returns what is due.
func (w *wheel) turn() []*probed {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = (w.at + 1) % len(w.slots)
	slot := w.slots[w.at]
	var due []*probed
	for p, rounds := range slot {
		if rounds > 0 {
			slot[p] = rounds - 1
			continue
		}
		delete(slot, p)
		delete(w.where, p)
		due = append(due, p)
	}
	return due
}

// run turns the wheel in step with the clock: ticks that came late are made up for. fire must not block.
func (w *wheel) run(ctx context.Context, fire func([]*probed)) {
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	began, turned := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for ; turned < int(now.Sub(began)/w.tick); turned++ {
				if due := w.turn(); len(due) > 0 {
					fire(due)
				}
			}
		}
	}
}
