package rollout

import "slices"

// Stage is a lifecycle stage; the names are those of ECS.
type Stage string

// The stages in order. A rolling deployment has only BakeTime.
const (
	ReconcileService           Stage = "RECONCILE_SERVICE"
	PreScaleUp                 Stage = "PRE_SCALE_UP"
	ScaleUp                    Stage = "SCALE_UP"
	PostScaleUp                Stage = "POST_SCALE_UP"
	TestTrafficShift           Stage = "TEST_TRAFFIC_SHIFT"
	PostTestTrafficShift       Stage = "POST_TEST_TRAFFIC_SHIFT"
	PreProductionTrafficShift  Stage = "PRE_PRODUCTION_TRAFFIC_SHIFT"
	ProductionTrafficShift     Stage = "PRODUCTION_TRAFFIC_SHIFT"
	PostProductionTrafficShift Stage = "POST_PRODUCTION_TRAFFIC_SHIFT"
	BakeTime                   Stage = "BAKE_TIME"
	CleanUp                    Stage = "CLEAN_UP"
)

// Stages lists the stages in order.
func Stages() []Stage {
	return []Stage{
		ReconcileService, PreScaleUp, ScaleUp, PostScaleUp, TestTrafficShift, PostTestTrafficShift,
		PreProductionTrafficShift, ProductionTrafficShift, PostProductionTrafficShift, BakeTime, CleanUp,
	}
}

// Hookable reports whether hooks may be called at the stage (ECS: all but the three in which ECS itself works).
func (s Stage) Hookable() bool {
	return s != "" && s != ScaleUp && s != BakeTime && s != CleanUp
}

// Pausable reports whether a pause may stand at the stage. The two shift stages are run again in a rollback, which
// would then need another answer, so they may not (ECS: pause lifecycle hooks).
func (s Stage) Pausable() bool {
	return s.Hookable() && s != TestTrafficShift && s != ProductionTrafficShift
}

func (s Stage) next() Stage {
	all := Stages()
	i := slices.Index(all, s)
	if i+1 == len(all) {
		return ""
	}
	return all[i+1]
}
