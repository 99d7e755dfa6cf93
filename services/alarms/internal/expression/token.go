package expression

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenNumber
	tokenText
	tokenID
	tokenWord
	tokenOperator
)

// token is a piece of an expression; at is its place in characters, from 1.
type token struct {
	kind  tokenKind
	at    int
	text  string
	value float64
}

// String is what an error calls the token.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the expression"
	case tokenText:
		return "the text " + strconv.Quote(t.text)
	}
	return strconv.Quote(t.text)
}

// advance reads the next token.
func (p *parser) advance() error {
	rest := strings.TrimLeft(p.text[p.at:], " \t\r\n")
	p.at = len(p.text) - len(rest)
	p.token = token{at: utf8.RuneCountInString(p.text[:p.at]) + 1}
	if rest == "" {
		return nil
	}
	c := rest[0]
	size := 0
	switch {
	case c >= '0' && c <= '9' || c == '.':
		size = numberLength(rest)
		value, err := strconv.ParseFloat(rest[:size], 64)
		if err != nil {
			return p.fail("%q is not a number", rest[:size])
		}
		p.token.kind, p.token.value = tokenNumber, value
	case c == '"' || c == '\'':
		end := strings.IndexByte(rest[1:], c)
		if end < 0 {
			return p.fail("the text has no closing quote")
		}
		p.token.kind, p.token.text = tokenText, rest[1:1+end]
		p.at += end + 2
		return nil
	case isLetter(c):
		for size < len(rest) && (isLetter(rest[size]) || rest[size] == '_' || rest[size] >= '0' && rest[size] <= '9') {
			size++
		}
		p.token.kind = tokenWord
		if c >= 'a' {
			p.token.kind = tokenID
		}
	default:
		if size = operatorLength(rest); size == 0 {
			r, _ := utf8.DecodeRuneInString(rest)
			return p.fail("%q has no meaning here", r)
		}
		p.token.kind = tokenOperator
	}
	p.token.text = rest[:size]
	p.at += size
	p.token.text = alias(p.token)
	return nil
}

// alias turns the words of the logical operators into their signs.
func alias(t token) string {
	if t.kind == tokenWord && t.text == "AND" {
		return "&&"
	}
	if t.kind == tokenWord && t.text == "OR" {
		return "||"
	}
	return t.text
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func operatorLength(s string) int {
	for _, operator := range []string{"==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "^", "(", ")", "[", "]", ","} {
		if strings.HasPrefix(s, operator) {
			return len(operator)
		}
	}
	return 0
}

func numberLength(s string) int {
	digits := func(from int) int {
		for from < len(s) && s[from] >= '0' && s[from] <= '9' {
			from++
		}
		return from
	}
	n := digits(0)
	if n < len(s) && s[n] == '.' {
		n = digits(n + 1)
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		exponent := n + 1
		if exponent < len(s) && (s[exponent] == '+' || s[exponent] == '-') {
			exponent++
		}
		if end := digits(exponent); end > exponent {
			n = end
		}
	}
	return n
}

func (p *parser) fail(format string, args ...any) *Error {
	return &Error{Position: p.token.at, Message: fmt.Sprintf(format, args...)}
}
