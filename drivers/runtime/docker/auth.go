package docker

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
)

// registryAuth is the credentials for an image's registry from Docker's own config.json (in DOCKER_CONFIG or ~/.docker), as
// `docker login` writes it where no credential helper is set up; "" when there are none.
func registryAuth(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", ref, err)
	}
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", nil //nolint:nilerr // no home, no credentials
		}
		dir = filepath.Join(home, ".docker")
	}
	body, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the registries' credentials: %w", err)
	}
	return authFrom(body, reference.Domain(named))
}

func authFrom(config []byte, domain string) (string, error) {
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return "", errors.New("docker's config.json cannot be read") // its text may hold secrets
	}
	for _, name := range []string{domain, "https://" + domain, "https://index." + domain + "/v1/"} {
		entry, ok := file.Auths[name]
		if !ok || entry.Auth == "" {
			continue
		}
		plain, err := base64.StdEncoding.DecodeString(entry.Auth)
		user, password, found := strings.Cut(string(plain), ":")
		if err != nil || !found {
			return "", fmt.Errorf("docker's config.json has no user and password for %s", name)
		}
		return authconfig.Encode(registry.AuthConfig{Username: user, Password: password, ServerAddress: name})
	}
	return "", nil
}
