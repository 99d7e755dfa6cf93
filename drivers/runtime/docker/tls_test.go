package docker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// certificate writes name.pem and name-key.pem into dir, signed by the parent or, without one, by itself.
func certificate(t *testing.T, dir, name string, parent *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	issuer, signer := template, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
	for file, body := range map[string][]byte{name + ".pem": certPEM, name + "-key.pem": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, file), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// overTLS serves the engine of this machine on a port, to those who show a certificate of the CA.
func overTLS(t *testing.T, ca, server *tls.Certificate) string {
	t.Helper()
	k := newLink(t)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", k.path)
			if err != nil {
				_ = in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				}()
			}
		}
	}()
	return "tcp://" + l.Addr().String()
}

func TestAnEngineIsReachedByTLSWithACertificateOnly(t *testing.T) {
	t.Parallel()
	cli := engineOrSkip(t)
	dir := t.TempDir()
	ca := certificate(t, dir, "ca", nil)
	host := overTLS(t, ca, certificate(t, dir, "server", ca))
	certificate(t, dir, "client", ca)
	certificate(t, dir, "stranger", nil)
	file := func(name string) string { return filepath.Join(dir, name) }

	cfg := config(t, cli)
	cfg.Engines = []Engine{{Name: "far", Host: host, CACert: file("ca.pem"), Cert: file("client.pem"), Key: file("client-key.pem")}}
	d := open(t, cfg)
	set := oneTask(image(t, cli))
	ensure(t, d, 1, set)
	reaches(t, d, set.Tasks[0], runtime.Running)

	for name, e := range map[string]Engine{
		"a stranger's certificate": {Host: host, CACert: file("ca.pem"), Cert: file("stranger.pem"), Key: file("stranger-key.pem")},
		"a server of another CA":   {Host: host, CACert: file("stranger.pem"), Cert: file("client.pem"), Key: file("client-key.pem")},
	} {
		other := config(t, cli)
		other.Engines = []Engine{e}
		if err := open(t, other).away(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	missing := config(t, cli)
	missing.Engines = []Engine{{Host: host, CACert: file("nothing.pem"), Cert: file("client.pem"), Key: file("client-key.pem")}}
	if _, err := New(missing, d.log); err == nil || !strings.Contains(err.Error(), "nothing.pem") {
		t.Errorf("a file that is missing: %v", err)
	}
}
