package inspect

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed ui
var embedded embed.FS

// An asset is a file of the page.
type asset struct {
	content  []byte
	mimeType string
	etag     string
}

// assets are the files of the page by name.
var assets = loadAssets(embedded)

func loadAssets(files fs.FS) map[string]asset {
	loaded := make(map[string]asset)
	names, _ := fs.Glob(files, "ui/*")
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			continue // a folder
		}
		sum := sha256.Sum256(content)
		loaded[path.Base(name)] = asset{content, mimeTypes[path.Ext(name)], `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return loaded
}

// mimeTypes do not depend on what the machine believes.
var mimeTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy of what the page may do: nothing but to load its own files and state.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "This page only reads: use GET.", http.StatusMethodNotAllowed)
		return
	}
	name := path.Base(r.URL.Path)
	if r.URL.Path == "" || strings.HasSuffix(r.URL.Path, "/") {
		name = "index.html"
	}
	switch file, ok := assets[name]; {
	case name == "state.json":
		i.serveJSON(w, r)
	case name == "state.txt":
		i.serveText(w)
	case ok:
		header.Set("Content-Type", file.mimeType)
		header.Set("ETag", file.etag)
		header.Set("Cache-Control", "no-cache") // asks whether it is still the same
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file.content))
	case strings.HasSuffix(r.Pattern, "/") || strings.Contains(name, "."):
		http.NotFound(w, r)
	default: // mounted at a path without its slash, from which relative links would lead astray
		header.Set("Location", "./"+url.PathEscape(name)+"/")
		w.WriteHeader(http.StatusMovedPermanently)
	}
}

func (i *Inspector) serveJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// It is encoded as a whole before the first byte is written, and everything in it can be.
	_ = json.NewEncoder(w).Encode(i.state( //nolint:errchkjson // see above
		parseCursor(r.URL.Query().Get("since"))))
}

func (i *Inspector) serveText(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(i.state(cursor{}).text()) // who does not read it does not need it
}
