package alarm

import "math"

// Bucket is the samples of one metric in one span of time.
type Bucket struct {
	Count, Sum, Min, Max float64
	// Values counts distinct samples, for percentiles; nil when a statistic set without them came in.
	Values map[float64]float64
	Opaque bool // a statistic set came in that percentiles cannot see into
}

// Add adds n samples of one value.
func (b *Bucket) Add(value, n float64) {
	b.merge(n, value*n, value, value)
	if b.Values == nil {
		b.Values = map[float64]float64{}
	}
	b.Values[value] += n
}

// AddSet adds a statistic set. Percentiles see into it only when all its samples are alike: the least is the greatest and the sum is so
// many times that (CloudWatch: StatisticSet).
func (b *Bucket) AddSet(count, sum, minimum, maximum float64) {
	if minimum == maximum && math.Abs(sum-minimum*count) <= 1e-9*math.Abs(sum) {
		b.Add(minimum, count)
		return
	}
	b.merge(count, sum, minimum, maximum)
	b.Opaque = true
}

// Merge adds another bucket's samples.
func (b *Bucket) Merge(o Bucket) {
	if o.Count == 0 {
		return
	}
	b.merge(o.Count, o.Sum, o.Min, o.Max)
	b.Opaque = b.Opaque || o.Opaque
	for v, n := range o.Values {
		if b.Values == nil {
			b.Values = map[float64]float64{}
		}
		b.Values[v] += n
	}
}

func (b *Bucket) merge(count, sum, minimum, maximum float64) {
	if b.Count == 0 {
		b.Min, b.Max = minimum, maximum
	}
	b.Count, b.Sum = b.Count+count, b.Sum+sum
	b.Min, b.Max = math.Min(b.Min, minimum), math.Max(b.Max, maximum)
}

// Statistic returns the statistic that the definition asks for, and whether there is one.
func (b Bucket) Statistic(d Definition) (float64, bool) {
	if b.Count == 0 {
		return 0, false
	}
	switch d.Statistic {
	case SampleCount:
		return b.Count, true
	case Sum:
		return b.Sum, true
	case Minimum:
		return b.Min, true
	case Maximum:
		return b.Max, true
	case Average:
		return b.Sum / b.Count, true
	}
	s, ok := parseStatistic(d.Statistic)
	if !ok || b.Opaque {
		return 0, false
	}
	return s.of(b)
}
