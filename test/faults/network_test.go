package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// network is a Toxiproxy through which services reach PostgreSQL and each other.
type network struct {
	t       *testing.T
	api     string
	proxied []string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{t: t, api: freeAddress(t)}
	host, port, err := net.SplitHostPort(n.api)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(programs, "toxiproxy"), "-host", host, "-port", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, 10*time.Second, "Toxiproxy to answer", func() bool { return n.call(http.MethodGet, "/version", nil) == nil })
	return n
}

// through makes a way to an address and returns where it begins.
func (n *network) through(name, upstream string) string {
	n.t.Helper()
	listen := freeAddress(n.t)
	n.must(http.MethodPost, "/proxies", map[string]any{"name": name, "listen": listen, "upstream": upstream, "enabled": true})
	n.proxied = append(n.proxied, name)
	return listen
}

// toxic makes some ways bad, in both directions, until the function that it returns is called.
func (n *network) toxic(kind string, attributes map[string]any, names ...string) (mend func()) {
	n.t.Helper()
	for _, name := range names {
		for _, stream := range []string{"upstream", "downstream"} {
			n.must(http.MethodPost, "/proxies/"+name+"/toxics", map[string]any{"name": kind + "-" + stream, "type": kind, "stream": stream, "attributes": attributes})
		}
	}
	return func() {
		n.t.Helper()
		for _, name := range names {
			for _, stream := range []string{"upstream", "downstream"} {
				n.must(http.MethodDelete, "/proxies/"+name+"/toxics/"+kind+"-"+stream, nil)
			}
		}
	}
}

func (n *network) must(method, path string, body any) {
	n.t.Helper()
	if err := n.call(method, path, body); err != nil {
		n.t.Fatalf("Toxiproxy: %s %s: %v", method, path, err)
	}
}

func (n *network) call(method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.api+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode >= http.StatusMultipleChoices {
		return &refusedError{resp.Status, string(answer)}
	}
	return nil
}

type refusedError struct{ status, body string }

func (e *refusedError) Error() string { return e.status + ": " + e.body }
