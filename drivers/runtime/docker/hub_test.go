package docker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"
)

// hub is an image registry with one repository, whose tags all stand for the latest image that was pushed.
type hub struct {
	host  string
	asked chan struct{} // gets one at each request for a tag

	mu    sync.Mutex
	blobs map[string][]byte
	tag   string        // digest of the manifest
	pulls int           // of tags
	open  chan struct{} // requests for tags wait until it is closed
}

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

func newHub(t *testing.T, cli *client.Client) *hub {
	t.Helper()
	if !strings.HasPrefix(cli.DaemonHost(), "unix://") {
		t.Skip("the engine may be on another machine, and cannot reach a registry here")
	}
	r := &hub{asked: make(chan struct{}, 100), blobs: map[string][]byte{}, open: make(chan struct{})}
	close(r.open)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	t.Cleanup(r.let) // before the server closes: it waits for its requests
	r.host = strings.TrimPrefix(server.URL, "http://")
	t.Cleanup(func() { r.forget(t, cli) })
	return r
}

// forget removes what the engine has of the registry's images.
func (r *hub) forget(t *testing.T, cli *client.Client) {
	t.Helper()
	ctx := context.Background()
	list, err := cli.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("reference", r.host+"/web")})
	if err != nil {
		t.Error(err)
	}
	for _, i := range list.Items {
		_, _ = cli.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true})
	}
}

func (r *hub) put(body []byte) string {
	sum := sha256.Sum256(body)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	r.blobs[digest] = body
	return digest
}

// push makes an image with one file and returns the digest of its manifest.
func (r *hub) push(t *testing.T, content string) string {
	t.Helper()
	var layer, zipped bytes.Buffer
	w := tar.NewWriter(&layer)
	_ = w.WriteHeader(&tar.Header{Name: "content", Mode: 0o644, Size: int64(len(content))})
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(layer.Bytes())
	_ = z.Close()
	sum := sha256.Sum256(layer.Bytes())
	encode := func(v any) []byte {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	config := encode(map[string]any{
		"architecture": goruntime.GOARCH, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tag = r.put(encode(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": r.put(config)},
		"layers": []any{map[string]any{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": zipped.Len(), "digest": r.put(zipped.Bytes())}},
	}))
	return r.tag
}

// hold makes requests for tags wait until let is called.
func (r *hub) hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = make(chan struct{})
}

func (r *hub) let() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.open:
	default:
		close(r.open)
	}
}

func (r *hub) tagPulls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pulls
}

func (r *hub) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, what, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/v2/web/"), "/")
	if kind == "manifests" && !strings.HasPrefix(what, "sha256:") {
		if what = r.resolve(); what == "" {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`, http.StatusNotFound)
			return
		}
	}
	r.mu.Lock()
	body, ok := r.blobs[what]
	r.mu.Unlock()
	switch {
	case req.URL.Path == "/v2/":
	case !ok:
		http.NotFound(w, req)
	default:
		if kind == "manifests" {
			w.Header().Set("Content-Type", manifestType)
		}
		w.Header().Set("Docker-Content-Digest", what)
		_, _ = w.Write(body)
	}
}

func (r *hub) resolve() string {
	r.mu.Lock()
	open := r.open
	r.pulls++
	r.mu.Unlock()
	select {
	case r.asked <- struct{}{}:
	default:
	}
	<-open
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tag
}
