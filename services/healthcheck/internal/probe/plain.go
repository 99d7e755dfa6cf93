package probe

import (
	"bytes"
)

// plain is the header of an answer as next to all targets give it: a final code, each header on a line, the body's length told once.
type plain struct {
	code   int
	size   int // of the header
	length int // of the body
	close  bool
}

const maxPlainLength = 7 // digits of a length

// parsePlain reads a plain header at the beginning of b. It returns false for all that is not plain or not whole, which says nothing of
// whether it is valid: net/http reads those, at several times the cost. What both read they read alike, which FuzzParsePlain checks.
func parsePlain(b []byte) (plain, bool) {
	const status = "HTTP/1.1 200"
	if len(b) < len(status)+2 || string(b[:9]) != status[:9] || !digits(b[9:12]) || b[9] < '2' || (b[12] != ' ' && b[12] != '\r') {
		return plain{}, false
	}
	p := plain{code: int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0'), length: -1}
	if p.code == 204 || p.code == 304 {
		return plain{}, false // no body, whatever its length is said to be
	}
	for first := true; ; first = false {
		line, _, ended := bytes.Cut(b[p.size:], []byte("\r\n"))
		if !ended {
			return plain{}, false
		}
		p.size += len(line) + 2
		switch {
		case !printable(line):
			return plain{}, false
		case first:
		case len(line) == 0:
			return p, p.length >= 0
		case !p.header(line):
			return plain{}, false
		}
	}
}

// header takes over what a header says of the body and of the connection.
func (p *plain) header(line []byte) bool {
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !token(name) {
		return false
	}
	value = bytes.Trim(value, " ")
	switch {
	case equalFold(name, "content-length"):
		if p.length >= 0 || len(value) == 0 || len(value) > maxPlainLength || !digits(value) {
			return false
		}
		p.length = 0
		for _, d := range value {
			p.length = p.length*10 + int(d-'0')
		}
	case equalFold(name, "connection"):
		p.close = p.close || equalFold(value, "close")
		return p.close || equalFold(value, "keep-alive")
	case equalFold(name, "transfer-encoding"), equalFold(name, "trailer"):
		return false
	}
	return true
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func token(b []byte) bool {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return len(b) > 0
}

// equalFold is bytes.EqualFold for ASCII in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
