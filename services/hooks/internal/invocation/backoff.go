package invocation

import (
	"hash/fnv"
	"strconv"
	"time"
)

// The back-off between calls that got no answer: doubling from one second to one minute.
const (
	firstRetry = time.Second
	maxRetry   = time.Minute
)

// retryDelay is between half the back-off and the whole. Where in between comes from the attempt's identity, so that
// invocations that failed together do not call again together, and a decision made twice is the same twice.
func retryDelay(id string, attempt, failures int) time.Duration {
	delay := firstRetry
	for n := 1; n < failures && delay < maxRetry; n++ {
		delay *= 2
	}
	delay = min(delay, maxRetry)
	h := fnv.New64a()
	h.Write([]byte(id + "#" + strconv.Itoa(attempt)))
	const parts = 1024
	half := delay / 2
	return (half + half*time.Duration(h.Sum64()%parts)/parts).Round(time.Millisecond)
}
