package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says where a rule is wrong and what would be right.
type Error struct {
	// Position is the place in the rule, in characters, the first is 1.
	Position int
	// Expected is what should stand there, e.g. `")" after the name of an alarm`.
	Expected string
	// Found is what stands there, e.g. `"AND"` or `the end of the rule`.
	Found string
}

// Error is one sentence for a person.
func (e *Error) Error() string {
	return fmt.Sprintf("at character %d: expected %s, found %s", e.Position, e.Expected, e.Found)
}

// Parse reads a rule. The error is an *Error, or a plain one if the rule is larger than the limits allow.
func Parse(text string) (*Rule, error) {
	if length := utf8.RuneCountInString(text); length > MaxLength {
		return nil, fmt.Errorf("a rule has at most %d characters, this one has %d", MaxLength, length)
	}
	p := &parser{text: text}
	root, err := p.rule()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.at < len(p.text) {
		return nil, p.expected("AND, OR or the end of the rule")
	}
	slices.Sort(p.names)
	children := slices.Compact(p.names)
	if len(children) > MaxChildren {
		return nil, fmt.Errorf("a rule refers to at most %d alarms, this one to %d", MaxChildren, len(children))
	}
	return &Rule{root: root, children: children}, nil
}

type parser struct {
	text     string
	at       int
	elements int
	names    []string
}

func (p *parser) rule() (node, error) { return p.group(true, "OR", p.and) }

func (p *parser) and() (node, error) { return p.group(false, "AND", p.not) }

func (p *parser) group(or bool, operator string, operand func() (node, error)) (node, error) {
	first, err := operand()
	if err != nil {
		return nil, err
	}
	of := []node{first}
	for p.keyword(operator) {
		next, err := operand()
		if err != nil {
			return nil, err
		}
		of = append(of, next)
	}
	if len(of) == 1 {
		return first, nil
	}
	return group{or: or, of: of}, nil
}

func (p *parser) not() (node, error) {
	if !p.keyword("NOT") {
		return p.prim()
	}
	of, err := p.prim()
	if err != nil {
		return nil, err
	}
	return negation{of: of}, nil
}

func (p *parser) prim() (node, error) {
	const expected = "(, NOT, TRUE, FALSE, ALARM(, OK(, INSUFFICIENT_DATA( or AT_LEAST("
	if p.punctuation('(') {
		if err := p.element(); err != nil {
			return nil, err
		}
		of, err := p.rule()
		if err != nil {
			return nil, err
		}
		if !p.punctuation(')') {
			return nil, p.expected("AND, OR or )")
		}
		return of, nil
	}
	start := p.at
	word := p.word()
	switch word {
	case alarmState, okState, insufficientState:
		return p.condition(word)
	case "AT_LEAST":
		return p.atLeast()
	}
	if upper := strings.ToUpper(word); upper == "TRUE" || upper == "FALSE" {
		return constant(upper == "TRUE"), p.element()
	}
	p.at = start
	return nil, p.expected(expected)
}

func (p *parser) condition(state string) (node, error) {
	if !p.punctuation('(') {
		return nil, p.expected("( after " + state)
	}
	ref, err := p.reference()
	if err != nil {
		return nil, err
	}
	if !p.punctuation(')') {
		return nil, p.expected(") after the name of an alarm (quote names with spaces, commas or parentheses)")
	}
	return condition{state: state, ref: ref}, nil
}

func (p *parser) atLeast() (node, error) {
	if !p.punctuation('(') {
		return nil, p.expected("( after AT_LEAST")
	}
	n := atLeast{}
	p.space()
	start := p.at
	m, err := strconv.Atoi(p.number())
	if err != nil || m < 1 {
		p.at = start
		return nil, p.expected("a number from 1, or a percentage like 50%")
	}
	n.m, n.percent = m, p.punctuation('%')
	if n.percent && m > 100 {
		p.at = start
		return nil, p.expected("a percentage from 1% to 100%")
	}
	if !p.punctuation(',') {
		return nil, p.expected(", after how many alarms")
	}
	n.not = p.keyword("NOT")
	p.space()
	before := p.at
	n.state = p.word()
	if !slices.Contains([]string{alarmState, okState, insufficientState}, n.state) {
		p.at = before
		return nil, p.expected("ALARM, OK or INSUFFICIENT_DATA")
	}
	if !p.punctuation(',') {
		return nil, p.expected(", after the state")
	}
	if n.refs, err = p.references(); err != nil {
		return nil, err
	}
	if !n.percent && n.m > len(n.refs) {
		p.at = start
		return nil, p.expected(fmt.Sprintf("at most %d, the number of alarms listed", len(n.refs)))
	}
	if !p.punctuation(')') {
		return nil, p.expected(") at the end of AT_LEAST")
	}
	return n, nil
}

// references reads (ref, ref, ...).
func (p *parser) references() ([]string, error) {
	if !p.punctuation('(') {
		return nil, p.expected("( and the names of alarms")
	}
	var refs []string
	for {
		ref, err := p.reference()
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
		if p.punctuation(')') {
			return refs, nil
		}
		if !p.punctuation(',') {
			return nil, p.expected(", or ) after the name of an alarm (quote names with spaces, commas or parentheses)")
		}
	}
}

func (p *parser) reference() (string, error) {
	p.space()
	if err := p.element(); err != nil {
		return "", err
	}
	ref, err := p.name()
	if err != nil {
		return "", err
	}
	p.names = append(p.names, Name(ref))
	return ref, nil
}

func (p *parser) name() (string, error) {
	start := p.at
	if !p.punctuation('"') {
		ref := p.word()
		if ref == "" {
			return "", p.expected("the name of an alarm")
		}
		return ref, nil
	}
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"' && b.Len() == 0:
			p.at = start
			return "", p.expected("the name of an alarm")
		case c == '"':
			return b.String(), nil
		case c == '\\' && p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\\'):
			b.WriteByte(p.text[p.at])
			p.at++
		default:
			b.WriteByte(c)
		}
	}
	return "", p.expected(`" at the end of the name`)
}

func (p *parser) element() error {
	if p.elements++; p.elements > MaxElements {
		return fmt.Errorf("at character %d: a rule has at most %d elements (references, TRUE, FALSE, parentheses)", p.position(), MaxElements)
	}
	return nil
}

func (p *parser) space() {
	p.at += len(p.text[p.at:]) - len(strings.TrimLeftFunc(p.text[p.at:], unicode.IsSpace))
}

// punctuation takes the character c if it is next.
func (p *parser) punctuation(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// keyword takes the word if it is next.
func (p *parser) keyword(word string) bool {
	p.space()
	start := p.at
	if p.word() == word {
		return true
	}
	p.at = start
	return false
}

// word takes everything up to a space, a comma, a parenthesis, a quote or the end.
func (p *parser) word() string {
	rest := p.text[p.at:]
	end := strings.IndexFunc(rest, endsName)
	if end < 0 {
		end = len(rest)
	}
	p.at += end
	return rest[:end]
}

// number takes digits.
func (p *parser) number() string {
	rest := p.text[p.at:]
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	p.at += len(digits)
	return digits
}

func endsName(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`,()"`, r) }

func (p *parser) position() int { return utf8.RuneCountInString(p.text[:p.at]) + 1 }

func (p *parser) expected(what string) *Error {
	p.space()
	position := p.position()
	start := p.at
	found := "the end of the rule"
	if p.at < len(p.text) {
		found = p.word()
		if found == "" {
			_, size := utf8.DecodeRuneInString(p.text[p.at:])
			found = p.text[p.at : p.at+size]
		}
		if runes := []rune(found); len(runes) > 40 {
			found = string(runes[:40]) + "..."
		}
		found = strconv.Quote(found)
	}
	p.at = start
	return &Error{Position: position, Expected: what, Found: found}
}
