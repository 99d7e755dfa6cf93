package rollout

// Bounds of ECS's default threshold.
const (
	minThreshold = 3
	maxThreshold = 200
)

// For returns how many failed tasks fail a deployment of a service with the desired count. The desired count is the
// latest one, so the threshold moves with it (ECS: ThresholdConfiguration).
func (t Threshold) For(desired int) int {
	switch t.Type {
	case Count:
		return t.Value
	case UnboundedPercent:
		return ceilPercent(desired, t.Value)
	default:
		return min(max(ceilPercent(desired, t.Value), minThreshold), maxThreshold)
	}
}

// Envelope is the number of tasks that a rolling deployment keeps healthy at least and has at most
// (ECS: minimumHealthyPercent is rounded up, maximumPercent is rounded down).
func Envelope(desired, minimumHealthyPercent, maximumPercent int) (lower, upper int) {
	return ceilPercent(desired, minimumHealthyPercent), desired * maximumPercent / 100
}

func ceilPercent(n, percent int) int { return (n*percent + 99) / 100 }
