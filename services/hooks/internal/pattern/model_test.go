package pattern

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The model flattens an event into values with the array elements they are in, and tries every choice of one value for each key:
// the choice is good when no two of its values are in different elements of one array.

type place map[int]int // array -> element

type flat struct {
	path  string
	value any
	in    place
}

type flattener struct {
	arrays int
	all    []flat
}

func (f *flattener) flatten(path string, v any, in place) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			f.flatten(path+"."+key, inner, in)
		}
	case []any:
		f.arrays++
		id := f.arrays
		for i, item := range v {
			_, isMap := item.(map[string]any)
			_, isList := item.([]any)
			within := maps.Clone(in)
			if isMap || isList {
				within[id] = i
			}
			f.flatten(path, item, within)
		}
	default:
		f.all = append(f.all, flat{path, v, in})
	}
}

func consistent(a, b place) bool {
	for id, i := range a {
		if j, both := b[id]; both && i != j {
			return false
		}
	}
	return true
}

// ask is a key of the model's pattern: the strings it may have, or that it may be absent.
type ask struct {
	path   string
	oneOf  []any
	absent bool
}

// matches chooses values for the asks from the first on; what may be absent is decided when all others have been chosen.
func matches(all []flat, asks []ask, in place, absent []string) bool {
	if len(asks) == 0 {
		return !slices.ContainsFunc(all, func(f flat) bool { return slices.Contains(absent, f.path) && consistent(f.in, in) })
	}
	a := asks[0]
	for _, f := range all {
		if f.path == a.path && slices.Contains(a.oneOf, f.value) && consistent(f.in, in) {
			joined := maps.Clone(in)
			maps.Copy(joined, f.in)
			if matches(all, asks[1:], joined, absent) {
				return true
			}
		}
	}
	return a.absent && matches(all, asks[1:], in, append(slices.Clone(absent), a.path))
}

func drawEvent(depth int) *rapid.Generator[any] {
	scalar := rapid.SampledFrom([]any{"x", "y", true, nil})
	if depth == 0 {
		return scalar
	}
	object := rapid.Custom(func(t *rapid.T) any {
		return any(rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c.a"}), drawEvent(depth-1), 0, 3).Draw(t, "object"))
	})
	list := rapid.Custom(func(t *rapid.T) any { return any(rapid.SliceOfN(drawEvent(depth-1), 0, 3).Draw(t, "list")) })
	return rapid.OneOf(scalar, object, list)
}

func drawAsks(t *rapid.T) []ask {
	var asks []ask
	for _, path := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{".a", ".b", ".a.a", ".a.b", ".b.a", ".a.c.a", ".b.c.a"}), 1, 3, rapid.ID).Draw(t, "paths") {
		asks = append(asks, ask{
			path, rapid.SliceOfN(rapid.SampledFrom([]any{"x", "y", true, nil}), 1, 2).Draw(t, "values"), rapid.Bool().Draw(t, "absent"),
		})
	}
	return asks
}

// write is the pattern of asks, with a dotted key for each.
func write(asks []ask) string {
	pattern := map[string]any{}
	for _, a := range asks {
		leaf := slices.Clone(a.oneOf)
		if a.absent {
			leaf = append(leaf, map[string]bool{"exists": false})
		}
		pattern[a.path[1:]] = leaf
	}
	b, err := json.Marshal(pattern)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestMatchIsThatOfTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		asks, others := drawAsks(t), drawAsks(t)
		event := map[string]any{"a": drawEvent(3).Draw(t, "a"), "b": drawEvent(2).Draw(t, "b")}
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		var f flattener
		f.flatten("", event, place{})
		one, other := matches(f.all, asks, place{}, nil), matches(f.all, others, place{}, nil)
		for pattern, want := range map[string]bool{
			write(asks):   one,
			write(others): other,
			fmt.Sprintf(`{"$or":[%s,%s]}`, write(asks), write(others)): one || other,
		} {
			p, err := Compile([]byte(pattern))
			if err != nil {
				t.Fatalf("%s: %v", pattern, err)
			}
			if got, err := p.Match(text); got != want || err != nil {
				t.Fatalf("%s on %s: %t, %v; the model says %t", pattern, text, got, err, want)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	event := []byte(`{"version":"0","id":"6a7e","detail-type":"ECS Deployment State Change","source":"aws.ecs","account":"111122223333",
		"time":"2026-01-02T03:04:05Z","region":"eu-west-1","resources":["arn:aws:ecs:eu-west-1:111122223333:service/prod/web"],
		"detail":{"eventType":"ERROR","eventName":"SERVICE_DEPLOYMENT_FAILED","deploymentId":"ecs-svc/123","reason":"tasks failed to start."}}`)
	p, err := Compile([]byte(`{"source":["aws.ecs"],"resources":[{"wildcard":"arn:aws:ecs:*:service/prod/*"}],
		"$or":[{"detail":{"eventType":["WARN"]}},{"detail":{"eventName":[{"suffix":"_FAILED"}]}}]}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := p.Match(event); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
