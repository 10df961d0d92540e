package budgetredis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/budgetredis"
)

// newCertificate makes a certificate for the loopback that vouches for itself, and writes it
// and its key into files.
func newCertificate(t *testing.T) (certificate tls.Certificate, pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})
	certificate, err = tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(certFile, certPEM, 0o600))
	require.NoError(t, os.WriteFile(keyFile, keyPEM, 0o600))
	return certificate, pool, certFile, keyFile
}

// The budget works over TLS where both sides show a certificate, and a client that does not
// trust the server stays without it.
func TestTLS(t *testing.T) {
	t.Parallel()
	certificate, pool, certFile, keyFile := newCertificate(t)
	secure := freeAddress(t)
	startServer(t, "--tls-port", port(t, secure), "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile)
	budget := func(config *tls.Config) *budgetredis.Budget {
		client := redis.NewClient(&redis.Options{Addr: secure, ContextTimeoutEnabled: true, TLSConfig: config})
		t.Cleanup(func() { _ = client.Close() })
		return newBudget(t, client, budgetredis.WithFloor(500), budgetredis.WithLease(20*time.Second), budgetredis.WithTimeout(5*time.Second))
	}
	b := budget(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	nameless := budget(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	distrustful := budget(&tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	require.Eventually(t, b.Withdraw, time.Minute, ms)
	assert.Equal(t, budgetredis.Closed, nameless.Mode(), "the server asks for a certificate")
	assert.Equal(t, budgetredis.Closed, distrustful.Mode())
}
