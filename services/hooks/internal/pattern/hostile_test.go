package pattern

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	if _, err := Compile([]byte(strings.Repeat(`{"a":`, 600) + `["b"]` + strings.Repeat(`}`, 600))); err != nil {
		t.Errorf("600 levels: %v", err)
	}
	p, err := Compile([]byte(`{"a":["b"]}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, event := range map[string]string{
		"objects": strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000),
		"arrays":  `{"a":` + strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000) + `}`,
		"dots":    `{"a` + strings.Repeat(`.a`, 5000) + `":1}`,
		"array":   `[]`,
		"no JSON": `{"a":`,
	} {
		if _, err := p.Match([]byte(event)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// What could take long is refused, or is over soon: the test's timeout is the other half of each case.
func TestWorkIsBounded(t *testing.T) {
	t.Parallel()
	many := func(n int, item func(int) string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = item(i)
		}
		return strings.Join(items, ",")
	}
	plenty := "{" + or(3, 9)[1:len(or(3, 9))-1] + "," + many(200, func(i int) string { return fmt.Sprintf(`"k%d":[1]`, i) }) + "}"
	if _, err := Compile([]byte(plenty)); err == nil || !strings.Contains(err.Error(), "keys") {
		t.Errorf("729 combinations of 200 keys: %v", err)
	}
	stars := `{"a":[{"wildcard":"` + strings.Repeat("*ab", 1000) + `"}]}`
	if _, err := Compile([]byte(stars)); err == nil || !strings.Contains(err.Error(), "too complex") {
		t.Errorf("1000 wildcards: %v", err)
	}
	long := `{"a":[` + many(4, func(i int) string { return fmt.Sprintf(`{"wildcard":"*%d%s"}`, i, strings.Repeat("ab", 450)) }) + `]}`
	if _, err := Compile([]byte(long)); err != nil {
		t.Errorf("4 long wildcards: %v", err)
	}
	p, err := Compile([]byte(`{"a":[` + many(600, func(i int) string { return fmt.Sprintf(`"%d"`, i) }) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Match([]byte(`{"a":[` + many(100_000, func(int) string { return `"x"` }) + `]}`)); err == nil {
		t.Error("60 million comparisons were made")
	}
	keys := `{` + many(100_000, func(i int) string { return fmt.Sprintf(`"b.k%d":1`, i) }) + `,"a":"7"}`
	if ok, err := p.Match([]byte(keys)); !ok || err != nil {
		t.Errorf("an event of 100000 keys: %t, %v", ok, err)
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(`{"a":[{"anything-but":{"wildcard":"x*"}}],"$or":[{"b":{"c":[{"exists":false}]}},{"d.e":[{"numeric":[">",1]}]}]}`, `{"a":["y"],"b":[{"c":1}],"d":{"e":2}}`)
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := Compile([]byte(pattern))
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%v is no *Error", err)
			}
			return
		}
		first, err := p.Match([]byte(event))
		if again, err2 := p.Match([]byte(event)); again != first || (err == nil) != (err2 == nil) {
			t.Fatal("two answers")
		}
	})
}
