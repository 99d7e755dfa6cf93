package simulation

import (
	"hash/fnv"
	"strconv"
	"sync"
	"time"
)

// dice draws. Each actor has a sequence of its own.
type dice struct {
	seed  int64
	mu    sync.Mutex
	drawn map[string]int
}

func newDice(seed int64) *dice { return &dice{seed: seed, drawn: map[string]int{}} }

func (d *dice) roll(actor string) uint64 {
	d.mu.Lock()
	n := d.drawn[actor]
	d.drawn[actor] = n + 1
	d.mu.Unlock()
	return hash(d.seed, actor, n)
}

// hash is a draw that depends on its arguments alone.
func hash(seed int64, actor string, n int) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatInt(seed, 10) + "/" + actor + "/" + strconv.Itoa(n)))
	x := h.Sum64() // FNV's high bits are poor for short texts: mixed as in SplitMix64
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// below is from 0 to n-1.
func (d *dice) below(actor string, n int) int { return int(d.roll(actor) % uint64(n)) }

// permille is true so many times of a thousand.
func (d *dice) permille(actor string, chance int) bool { return d.below(actor, 1000) < chance }

// between is a duration in milliseconds, both ends included.
func (d *dice) between(actor string, from, to time.Duration) time.Duration {
	return from + time.Duration(d.below(actor, int((to-from)/time.Millisecond)+1))*time.Millisecond
}

func pick[T any](d *dice, actor string, list ...T) T { return list[d.below(actor, len(list))] }
