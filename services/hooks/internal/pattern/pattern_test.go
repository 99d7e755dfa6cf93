package pattern

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, event string
		want           bool
	}{
		// Strings, literals and numbers.
		{`{"a":["b"]}`, `{"a":"b"}`, true},
		{`{"a":["b"]}`, `{"a":"B"}`, false},
		{`{"a":["\u0062"]}`, `{"a":"b"}`, true},
		{`{"a":["b","c"]}`, `{"a":"c"}`, true},
		{`{"a":["b"],"c":["d"]}`, `{"a":"b"}`, false},
		{`{"a":[null]}`, `{"a":null}`, true},
		{`{"a":[null]}`, `{"a":"null"}`, false},
		{`{"a":[null]}`, `{"a":[]}`, false},
		{`{"a":[null]}`, `{}`, false},
		{`{"a":[true]}`, `{"a":true}`, true},
		{`{"a":[true]}`, `{"a":"true"}`, false},
		{`{"a":[300]}`, `{"a":300.0}`, true},
		{`{"a":[3e2]}`, `{"a":300}`, true},
		{`{"a":[0.1]}`, `{"a":0.10}`, true},
		{`{"a":[0]}`, `{"a":-0}`, true},
		{`{"a":[1]}`, `{"a":"1"}`, false},
		{`{"a":["1"]}`, `{"a":1}`, false},
		{`{"a":[9007199254740993]}`, `{"a":9007199254740992}`, false},
		{`{"a":[9007199254740993]}`, `{"a":9007199254740993}`, true},
		// Affixes, case and wildcards.
		{`{"a":[{"prefix":""}]}`, `{"a":"x"}`, true},
		{`{"a":[{"prefix":""}]}`, `{"a":1}`, false},
		{`{"a":[{"prefix":"ab"}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"prefix":{"equals-ignore-case":"äb"}}]}`, `{"a":"ÄBC"}`, true},
		{`{"a":[{"prefix":{"equals-ignore-case":"abc"}}]}`, `{"a":"ab"}`, false},
		{`{"a":[{"suffix":"bc"}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"suffix":"bc"}]}`, `{"a":"abcd"}`, false},
		{`{"a":[{"suffix":{"equals-ignore-case":"ÄB"}}]}`, `{"a":"xäb"}`, true},
		{`{"a":[{"suffix":{"equals-ignore-case":"xäb"}}]}`, `{"a":"äb"}`, false},
		{`{"a":[{"equals-ignore-case":"aB"}]}`, `{"a":"Ab"}`, true},
		{`{"a":[{"equals-ignore-case":""}]}`, `{"a":"x"}`, false},
		{`{"a":[{"wildcard":"a*c*e"}]}`, `{"a":"abcde"}`, true},
		{`{"a":[{"wildcard":"a*c*e"}]}`, `{"a":"ae"}`, false},
		{`{"a":[{"wildcard":"a*a"}]}`, `{"a":"a"}`, false},
		{`{"a":[{"wildcard":"a?c"}]}`, `{"a":"abc"}`, false},
		{`{"a":[{"wildcard":"a\\\\*"}]}`, `{"a":"a\\b"}`, true},
		{`{"a":[{"wildcard":"arn:aws:events:*:*:event-bus/*"}]}`, `{"a":"arn:aws:events:us-east-1:1:event-bus/b"}`, true},
		{`{"a":[{"wildcard":"*/data/*.tif"},{"wildcard":"*/data/*.bif"}]}`, `{"a":"x/data/y.bif"}`, true},
		{`{"a":[{"wildcard":""}]}`, `{"a":""}`, true},
		{`{"a":[{"wildcard":""}]}`, `{"a":"x"}`, false},
		// Anything but.
		{`{"a":[{"anything-but":"b"}]}`, `{"a":"c"}`, true},
		{`{"a":[{"anything-but":"b"}]}`, `{"a":"b"}`, false},
		{`{"a":[{"anything-but":"b"}]}`, `{}`, false},
		{`{"a":[{"anything-but":"b"}]}`, `{"a":null}`, true},
		{`{"a":[{"anything-but":"b"}]}`, `{"a":7}`, true},
		{`{"a":[{"anything-but":"b"}]}`, `{"a":{"x":1}}`, false},
		{`{"a":[{"anything-but":"b"}]}`, `{"a":[]}`, false},
		{`{"a":[{"anything-but":["b",""]}]}`, `{"a":""}`, false},
		{`{"a":[{"anything-but":[1,2]}]}`, `{"a":2.0}`, false},
		{`{"a":[{"anything-but":{"prefix":["x","y"]}}]}`, `{"a":"yes"}`, false},
		{`{"a":[{"anything-but":{"suffix":"x"}}]}`, `{"a":"xy"}`, true},
		{`{"a":[{"anything-but":{"equals-ignore-case":["X","Y"]}}]}`, `{"a":"y"}`, false},
		{`{"a":[{"anything-but":{"wildcard":"*x*"}}]}`, `{"a":3}`, true},
		// Numbers in ranges, addresses, presence.
		{`{"a":[{"numeric":[">",0,"<",5]}]}`, `{"a":5}`, false},
		{`{"a":[{"numeric":[">=",-1.5]}]}`, `{"a":-1.5}`, true},
		{`{"a":[{"numeric":["<",0]}]}`, `{"a":null}`, false},
		{`{"a":[{"cidr":"10.1.2.3/8"}]}`, `{"a":"10.255.0.1"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/31"}]}`, `{"a":"10.0.0.2"}`, false},
		{`{"a":[{"cidr":"2001:db8::/126"}]}`, `{"a":"2001:DB8::3"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"ten"}`, false},
		{`{"a":[{"exists":true}]}`, `{"a":null}`, true},
		{`{"a":[{"exists":true}]}`, `{"a":[]}`, false},
		{`{"a":[{"exists":true}]}`, `{"a":{}}`, false},
		{`{"a":{"b":[{"exists":false}]}}`, `{}`, true},
		{`{"a":{"b":[{"exists":false}]}}`, `{"a":1}`, true},
		{`{"a":{"b":[{"exists":false}]}}`, `{"a":{"b":null}}`, false},
		{`{"a":["x",{"exists":false}]}`, `{}`, true},
		{`{"a":["x",{"exists":false}]}`, `{"a":"y"}`, false},
		// Arrays: one element satisfies all keys under it.
		{`{"a":["b"]}`, `{"a":[["x"],["b"]]}`, true},
		{`{"a":{"x":[1],"y":[2]}}`, `{"a":[{"x":1},{"x":1,"y":2}]}`, true},
		{`{"a":{"x":[1],"y":[2]}}`, `{"a":[{"x":1},{"y":2}]}`, false},
		{`{"a":{"b":{"x":[1]},"y":[2]}}`, `{"a":[{"b":[{"x":1}],"y":3},{"b":[{"x":2}],"y":2}]}`, false},
		{`{"a":{"x":[1],"y":[{"exists":false}]}}`, `{"a":[{"x":1},{"x":2,"y":3}]}`, true},
		{`{"a":{"x":[1],"y":[{"exists":false}]}}`, `{"a":[{"x":1,"y":3},{"x":2}]}`, false},
		{`{"a":{"y":[{"exists":false}]}}`, `{"a":[{"y":1},{"x":2}]}`, false},
		{`{"a":{"y":[{"exists":false}]}}`, `{"a":[{"z":1},{"x":2}]}`, true},
		{`{"a":{"x":[1]}}`, `{"a":[]}`, false},
		// Dots.
		{`{"a.b":["c"]}`, `{"a":{"b":"c"}}`, true},
		{`{"a":{"b":["c"]}}`, `{"a.b":"c"}`, true},
		{`{"a":{"b.c":[1],"d":[2]}}`, `{"a.b":{"c":1},"a.d":2}`, true},
		// Alternatives.
		{`{"$or":[{"a":[1]},{"b":[2]}],"c":[3]}`, `{"b":2,"c":3}`, true},
		{`{"$or":[{"a":[1]},{"b":[2]}],"c":[3]}`, `{"b":2}`, false},
		{`{"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":[3]}]}]}`, `{"c":3}`, true},
		{`{"l":{"$or":[{"a":[1]},{"b":[2]}],"c":[3]}}`, `{"l":[{"a":1},{"c":3}]}`, false},
		{`{"l":{"c":[3]},"$or":[{"l":{"a":[1]}},{"x":[1]}]}`, `{"l":[{"a":1},{"c":3}]}`, false},
		{`{"$or":["x"]}`, `{"$or":"x"}`, true},
		{`{"$or":{"a":[1]}}`, `{"$or":{"a":1}}`, true},
		{`{"$or":[{"prefix":"x"},{"suffix":"y"}]}`, `{"$or":"zy"}`, true},
		// Repeated keys: the last one counts.
		{`{"a":[1],"a":[2]}`, `{"a":2}`, true},
		{`{"a":[1],"a":[2]}`, `{"a":1}`, false},
		{`{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}`, `{"a":2}`, true},
		{`{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}`, `{"a":1}`, false},
		{`{"$or":[{"a":[2]},{"b":[3]}],"a":[1]}`, `{"a":1,"b":3}`, true},
		{`{"a":[2]}`, `{"a":1,"a":2}`, true},
		{`{"a":[1]}`, `{"a":1,"a":2}`, true},
		{`{"a":{"b":[1]}}`, `{"a.b":1,"a":{"b":2}}`, true},
		{`{"a":["x"],"a.b":["y"]}`, `{"a":["x"],"a.b":"y"}`, true},
		{`{"a":["x"],"a.b":["y"]}`, `{"a":["x",{"b":"y"}]}`, true},
		{`{"a":["x"],"a.b":["y"]}`, `{"a":[["x"],{"b":"y"}]}`, false},
		{`{"a":["x"],"a.b":["z",{"exists":false}]}`, `{"a":[["x"],{"b":"y"}]}`, true},
		{`{"a":["x"],"a.b":["z",{"exists":false}]}`, `{"a":["x",{"b":"y"}]}`, false},
	} {
		p, err := Compile([]byte(c.pattern))
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got, err := p.Match([]byte(c.event)); got != c.want || err != nil {
			t.Errorf("%s on %s: %t, %v", c.pattern, c.event, got, err)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for pattern, reason := range map[string]string{
		`[1]`:                                 "Filter is not an object",
		`{}`:                                  "Empty objects are not allowed",
		`{"a":{}}`:                            "Empty objects are not allowed",
		`{"a":[]}`:                            "Empty arrays are not allowed",
		`{"a":1}`:                             `"a" must be an object or an array`,
		`{"a":[["b"]]}`:                       "Match value must be String, number, true, false, or null",
		`{"a":[{}]}`:                          "Match expression name not found",
		`{"a":[{"PREFIX":"x"}]}`:              "Unrecognized match type PREFIX",
		`{"a":[{"prefix":"x","suffix":"y"}]}`: "Only one key allowed in match expression",
		`{"a":[{"prefix":["x"]}]}`:            "prefix match pattern must be a string",
		`{"a":[{"suffix":1}]}`:                "suffix match pattern must be a string",
		`{"a":[{"wildcard":"a**"}]}`:          "Consecutive wildcard characters at pos 2",
		`{"a":[{"wildcard":"a\\n"}]}`:         "Invalid escape character at pos 2",
		`{"a":[{"anything-but":["a",1]}]}`:    "Inside anything but list, either all values are number or string",
		`{"a":[{"anything-but":true}]}`:       "Value of anything-but must be an array or single string/number value.",
		`{"a":[{"anything-but":{"numeric":["=",1]}}]}`:              "Unsupported anything-but pattern: numeric",
		`{"a":[{"anything-but":{"prefix":""}}]}`:                    "Null prefix/suffix not allowed",
		`{"a":[{"anything-but":{"suffix":["x",1]}}]}`:               "prefix/suffix match pattern must be a string",
		`{"a":[{"numeric":5}]}`:                                     "Value of numeric must be an array.",
		`{"a":[{"numeric":["=","5"]}]}`:                             "Value of equals must be numeric",
		`{"a":[{"numeric":["<",5,">",0]}]}`:                         "Too many elements in numeric expression",
		`{"a":[{"numeric":[">",0,">",5]}]}`:                         "Bad numeric range operator: >",
		`{"a":[{"numeric":[">=",5,"<=",5]}]}`:                       "Bottom must be less than top",
		`{"a":[{"numeric":[">",0,"<"]}]}`:                           "Value of < must be numeric",
		`{"a":[{"cidr":"10.0.0.0/32"}]}`:                            "IPv4 mask bits must be < 32",
		`{"a":[{"cidr":"::/128"}]}`:                                 "IPv6 mask bits must be < 128",
		`{"a":[{"cidr":"10.0.0.0"}]}`:                               "Malformed CIDR, one '/' required",
		`{"a":[{"cidr":"10.0.0.0/x"}]}`:                             "Malformed CIDR, mask bits must be an integer",
		`{"a":[{"cidr":"10.0.0.256/8"}]}`:                           "Invalid IP address: 10.0.0.256",
		`{"a":[{"cidr":"::ffff:10.0.0.1/8"}]}`:                      "Nonstandard IP address: ::ffff:10.0.0.1",
		`{"a":[{"cidr":"10.0.0/8"}]}`:                               "Nonstandard IP address: 10.0.0",
		`{"a":[{"cidr":["10.0.0.0/8"]}]}`:                           "prefix match pattern must be a string",
		`{"a":[{"exists":"true"}]}`:                                 "exists match pattern must be either true or false.",
		`{"a":[{"prefix":{}}]}`:                                     "Prefix expression name not found",
		`{"a":[{"suffix":{"prefix":"x"}}]}`:                         "Unsupported suffix pattern: prefix",
		`{"a":[{"prefix":{"equals-ignore-case":1}}]}`:               "equals-ignore-case match pattern must be a string",
		`{"a":[{"anything-but":"a","prefix":"b"}]}`:                 "Too many elements in numeric expression",
		`{"a":[{"numeric":["=",1],"prefix":"b"}]}`:                  "Too many elements in numeric expression",
		`{"a":[{"anything-but":["a",null]}]}`:                       "Inside anything but list, start|null|boolean is not supported.",
		`{"a":[{"anything-but":[]}]}`:                               "Inside anything but list, either all values are number or string",
		`{"a":[{"anything-but":{}}]}`:                               "Anything-But expression name not found",
		`{"a":[{"anything-but":{"prefix":null}}]}`:                  "Value of anything-but must be an array or single string/number value.",
		`{"a":[{"anything-but":{"wildcard":[1]}}]}`:                 "wildcard match pattern must be a string",
		`{"a":[{"anything-but":{"wildcard":[]}}]}`:                  "Empty arrays are not allowed",
		`{"a":[{"anything-but":{"equals-ignore-case":[1]}}]}`:       "Inside anything-but/equals-ignore-case list, number|start|null|boolean",
		`{"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]}`:              "Rule is too complex - try using fewer wildcard characters",
		`{"a":[{"anything-but":{"wildcard":["*a*a*a","*a*a*b"]}}]}`: "Rule is too complex",
		`{"a":[{"wildcard":"*a"},{"wildcard":"*a"},{"wildcard":"*a"},{"wildcard":"*a"},{"wildcard":"*a"}]}`: "Rule is too complex",
		`{"$or":[{"a":[1]}]}`:                         "Unrecognized match type a (with $or as alternatives: There must have at least 2 Objects",
		`{"$or":[{"a":[1]},{"b":{"prefix":["x"]}}]}`:  "prefix is Ruler reserved fieldName which cannot be used inside $or.",
		`{"$or":[{"a":[1]},{"b":[]}]}`:                "Unrecognized match type a (with $or as alternatives: Empty arrays are not allowed)",
		`{"$or":1}`:                                   "must be an object or an array",
		`{"a":["b"]`:                                  "unexpected end of JSON input",
		`{"a":["b"]} x`:                               "after top-level value",
		`{"a":["` + strings.Repeat("x", 4096) + `"]}`: "at most 4096",
		or(4, 7): "more than 1000 combinations",
	} {
		_, err := Compile([]byte(pattern))
		var refused *Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Reason, reason) || !strings.HasPrefix(err.Error(), "Event pattern is not valid. Reason: ") {
			t.Errorf("%.100s: %v, want %q", pattern, err, reason)
		}
	}
}

// or is a pattern with n times an $or of m alternatives, one in the other's keys.
func or(n, m int) string {
	var keys []string
	for i := range n {
		var either []string
		for j := range m {
			either = append(either, fmt.Sprintf(`{"k%d":[%d]}`, j, j))
		}
		keys = append(keys, fmt.Sprintf(`"n%d":{"$or":[%s]}`, i, strings.Join(either, ",")))
	}
	return "{" + strings.Join(keys, ",") + "}"
}
