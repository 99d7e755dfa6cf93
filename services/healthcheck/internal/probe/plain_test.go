package probe

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"
)

// FuzzAnswer checks that every answer is read as net/http reads it, the plain ones too.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		ok5, ok5 + ok5, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 299 \r\ncontent-LENGTH: 0005\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhel", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 103 Hints\r\n\r\n" + ok5, "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "\r\n\r\n", "",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\t\r\nTrailer: A\r\n\r\nhello", "HTTP/1.1 200 OK\r\nA:b\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		code, keeps, err := answer(bufio.NewReader(bytes.NewReader(b)))
		br := bufio.NewReader(bytes.NewReader(b))
		res, wantErr := finalAnswer(br)
		if (err == nil) != (wantErr == nil) || (err != nil && err.Error() != wantErr.Error()) {
			t.Fatalf("%q: error %v, want %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		_, bodyErr := io.Copy(io.Discard, res.Body)
		wantKeeps := bodyErr == nil && !res.Close && res.StatusCode != http.StatusSwitchingProtocols && br.Buffered() == 0
		if code != res.StatusCode || keeps != wantKeeps {
			t.Fatalf("%q: %d, kept %t; want %d, %t", b, code, keeps, res.StatusCode, wantKeeps)
		}
	})
}

func TestPlainAnswersAreReadTheShortWay(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]plain{
		ok5: {code: 200, size: len(ok5) - 5, length: 5},
		"HTTP/1.1 503 Busy\r\nServer: x/1\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n": {code: 503, size: 72, close: true},
	} {
		if got, ok := parsePlain([]byte(answer)); !ok || got != want {
			t.Errorf("%q: %+v, %t", answer, got, ok)
		}
	}
	for _, answer := range []string{"HTTP/1.1 200 OK\r\n\r\n", ok5[:30], "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"} {
		if got, ok := parsePlain([]byte(answer)); ok {
			t.Errorf("%q: %+v", answer, got)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	data := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 5\r\n\r\nhello")
	r := bytes.NewReader(data)
	br := bufio.NewReader(r)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(data)
		br.Reset(r)
		if code, _, err := answer(br); code != http.StatusOK || err != nil {
			b.Fatal(errors.Join(err, errors.New("not read")))
		}
	}
}
