package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
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

// mimeTypes do not depend on what the machine believes.
var mimeTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
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

func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	file, ok := assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.mimeType)
	w.Header().Set("ETag", file.etag)
	w.Header().Set("Cache-Control", "no-cache") // asks whether it is still the same
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file.content))
}
