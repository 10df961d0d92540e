package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// contentSecurityPolicy lets the page load its own files and state, and draw charts as pictures.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func setHeaders(header http.Header) {
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// sameOrigin refuses what pages of others send.
var sameOrigin = http.NewCrossOriginProtection()

// allow reports why a request is refused. A name that somebody else has pointed to this machine is
// no loopback host, so their page cannot read what is answered.
func allow(r *http.Request) error {
	if !loopback(r.Host) {
		return fmt.Errorf("host: %q is not allowed: want localhost or a loopback address", r.Host)
	}
	if err := sameOrigin.Check(r); err != nil {
		return fmt.Errorf("origin: %q is not allowed: want the page itself", r.Header.Get("Origin"))
	}
	return nil
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && address.Unmap().IsLoopback()
}
