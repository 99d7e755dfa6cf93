package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it; it protects nothing.
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxMessage bounds one WebSocket frame.
const maxMessage = 1 << 20

// The operations of a WebSocket frame that matter here (RFC 6455, 5.2).
const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// echo makes a WebSocket of the request and sends back each frame until the other side closes.
func echo(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		http.Error(w, "this path speaks WebSocket", http.StatusUpgradeRequired)
		return
	}
	conn, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "WebSocket needs HTTP/1.1 here", http.StatusNotImplemented)
		return
	}
	defer conn.Close()
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	fmt.Fprintf(buffer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for {
		if buffer.Flush() != nil {
			return
		}
		head, payload, err := readFrame(buffer.Reader)
		if err != nil {
			return
		}
		switch head & 0x0F {
		case opPong:
			continue
		case opPing:
			head = head&^0x0F | opPong
		}
		writeFrame(buffer.Writer, head, payload)
		if head&0x0F == opClose {
			_ = buffer.Flush()
			return
		}
	}
}

// readFrame reads a frame of a client: its first byte and what it says. Clients mask what they say.
func readFrame(r *bufio.Reader) (head byte, payload []byte, err error) {
	var start [2]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return 0, nil, err
	}
	if start[1]&0x80 == 0 {
		return 0, nil, errors.New("a client's frame must be masked")
	}
	length := uint64(start[1] & 0x7F)
	switch length {
	case 126:
		var size uint16
		err = binary.Read(r, binary.BigEndian, &size)
		length = uint64(size)
	case 127:
		err = binary.Read(r, binary.BigEndian, &length)
	}
	if err != nil || length > maxMessage {
		return 0, nil, errors.Join(err, errors.New("a frame of this length is not read"))
	}
	var mask [4]byte
	if _, err := io.ReadFull(r, mask[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return start[0], payload, nil
}

// writeFrame writes a frame of a server. An error shows at the next Flush.
func writeFrame(w *bufio.Writer, head byte, payload []byte) {
	frame := []byte{head}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, byte(n))
	case n <= 0xFFFF:
		frame = binary.BigEndian.AppendUint16(append(frame, 126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 127), uint64(n))
	}
	_, _ = w.Write(append(frame, payload...))
}
