package store

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

var quoted = regexp.MustCompile(`'([A-Z_]+)'`)

func TestMigrationsGoUpDownUp(t *testing.T) {
	t.Parallel()
	if err := postgrestest.UpDownUp(t, "alarms", alarms.FS); err != nil {
		t.Fatal(err)
	}
}

// The states are the same in the core, the contract and the schema; so are the types of history items.
func TestStatesAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, "alarms", alarms.FS)
	var states []string
	for _, s := range alarm.States() {
		states = append(states, string(s))
	}
	for _, c := range []struct {
		constraint, prefix string
		ours               []string
		contract           map[int32]string
	}{
		{"alarms_state_check", "STATE_", states, alarmspb.MetricAlarm_State_name},
		{"alarm_history_type_check", "TYPE_", []string{ConfigurationUpdate, StateUpdate}, alarmspb.AlarmHistoryItem_Type_name},
	} {
		var def string
		err := db.Pool.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1`, c.constraint).Scan(&def)
		if err != nil {
			t.Fatal(err)
		}
		var allowed, contract []string
		for _, m := range quoted.FindAllStringSubmatch(def, -1) {
			allowed = append(allowed, m[1])
		}
		for number, name := range c.contract {
			if number != 0 {
				contract = append(contract, strings.TrimPrefix(name, c.prefix))
			}
		}
		for _, list := range [][]string{allowed, contract, c.ours} {
			slices.Sort(list)
		}
		if !slices.Equal(allowed, c.ours) || !slices.Equal(contract, c.ours) {
			t.Errorf("%s: core %q, contract %q, schema %q", c.constraint, c.ours, contract, allowed)
		}
	}
}
