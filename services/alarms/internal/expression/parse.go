package expression

import (
	"slices"
	"strings"
)

type parser struct {
	text  string
	at    int
	token token
	ids   []string
}

// node is a part of an expression; at is its place in characters.
type node struct {
	kind  nodeKind
	at    int
	name  string // of an operator, a function, an id or a word; the text of a text
	value float64
	of    []node
}

type nodeKind int

const (
	nodeNumber nodeKind = iota
	nodeText
	nodeID
	nodeWord
	nodeList
	nodeNegation
	nodeOperator
	nodeCall
)

func (p *parser) or() (node, error) { return p.chain(p.and, "||") }

func (p *parser) and() (node, error) { return p.chain(p.comparison, "&&") }

func (p *parser) comparison() (node, error) { return p.chain(p.sum, "==", "!=", "<", "<=", ">", ">=") }

func (p *parser) sum() (node, error) { return p.chain(p.product, "+", "-") }

func (p *parser) product() (node, error) { return p.chain(p.unary, "*", "/") }

// chain reads operands with operators between them, the left ones first.
func (p *parser) chain(operand func() (node, error), operators ...string) (node, error) {
	left, err := operand()
	for err == nil && p.isOperator(operators...) {
		n := node{kind: nodeOperator, at: p.token.at, name: p.token.text}
		if err = p.advance(); err != nil {
			break
		}
		var right node
		right, err = operand()
		n.of = []node{left, right}
		left = n
	}
	return left, err
}

func (p *parser) isOperator(operators ...string) bool {
	isSign := p.token.kind == tokenOperator || p.token.kind == tokenWord && (p.token.text == "&&" || p.token.text == "||")
	return isSign && slices.Contains(operators, p.token.text)
}

func (p *parser) unary() (node, error) {
	if !p.isOperator("-") {
		return p.power()
	}
	n := node{kind: nodeNegation, at: p.token.at, name: "-"}
	if err := p.advance(); err != nil {
		return n, err
	}
	of, err := p.unary()
	n.of = []node{of}
	return n, err
}

func (p *parser) power() (node, error) {
	base, err := p.primary()
	if err != nil || !p.isOperator("^") {
		return base, err
	}
	n := node{kind: nodeOperator, at: p.token.at, name: "^"}
	if err := p.advance(); err != nil {
		return n, err
	}
	exponent, err := p.unary()
	n.of = []node{base, exponent}
	return n, err
}

func (p *parser) primary() (node, error) {
	t := p.token
	switch {
	case t.kind == tokenNumber:
		return node{kind: nodeNumber, at: t.at, value: t.value}, p.advance()
	case t.kind == tokenText:
		return node{kind: nodeText, at: t.at, name: t.text}, p.advance()
	case t.kind == tokenID:
		return p.id()
	case t.kind == tokenWord && !p.isOperator("&&", "||"):
		return p.call()
	case p.isOperator("("):
		if err := p.advance(); err != nil {
			return node{}, err
		}
		n, err := p.or()
		if err != nil {
			return n, err
		}
		return n, p.close(")")
	case p.isOperator("["):
		of, err := p.list("]")
		return node{kind: nodeList, at: t.at, of: of}, err
	}
	return node{}, p.fail("expected a number, an id, a function, ( or [, found %s", t)
}

func (p *parser) id() (node, error) {
	n := node{kind: nodeID, at: p.token.at, name: p.token.text}
	if err := p.advance(); err != nil {
		return n, err
	}
	if p.isOperator("(") {
		p.token.at = n.at
		if upper := strings.ToUpper(n.name); functions[upper].signatures != nil {
			return n, p.fail("functions are written in upper case: %s", upper)
		}
		return n, p.fail("there is no function %s", n.name)
	}
	if !slices.Contains(p.ids, n.name) {
		p.ids = append(p.ids, n.name)
	}
	return n, nil
}

// call reads a function with its arguments, or a word like REPEAT.
func (p *parser) call() (node, error) {
	start := p.token
	n := node{kind: nodeCall, at: start.at, name: start.text}
	if err := p.advance(); err != nil {
		return n, err
	}
	f, known := functions[n.name]
	if why, refused := refusals[n.name]; refused {
		return n, &Error{Position: n.at, Message: why}
	}
	isCall := p.isOperator("(")
	if !isCall && (slices.Contains(words, n.name) || f.sorts) {
		n.kind = nodeWord
		return n, nil
	}
	if !known {
		p.token = start
		if isCall {
			return n, p.fail("there is no function %s", n.name)
		}
		return n, p.fail("%s is neither a function nor an id; ids start with a lower-case letter", start)
	}
	if !isCall {
		return n, p.fail("expected ( after %s, found %s", n.name, p.token)
	}
	of, err := p.list(")")
	n.of = of
	return n, err
}

// list reads from an opening sign to the closing one.
func (p *parser) list(closing string) ([]node, error) {
	var of []node
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.isOperator(closing) {
		return nil, p.advance()
	}
	for {
		n, err := p.or()
		if err != nil {
			return nil, err
		}
		of = append(of, n)
		if p.isOperator(closing) {
			return of, p.advance()
		}
		if !p.isOperator(",") {
			return nil, p.fail("expected an operator, a comma or %s, found %s", closing, p.token)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
}

func (p *parser) close(closing string) error {
	if !p.isOperator(closing) {
		return p.fail("expected an operator or %s, found %s", closing, p.token)
	}
	return p.advance()
}
