package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/observable-go/toolkit/lab/scenario"
)

// An Entry is a scenario that the page offers.
type Entry struct {
	// Name is how the scenario is called, and Title what it shows, in a sentence. Source is where its
	// figures were published.
	Name   string `json:"name"`
	Title  string `json:"title"`
	Source string `json:"source"`
	// Text is the scenario as YAML.
	Text string `json:"text"`
}

// A Gallery is what the page offers, in that order. The page runs the first one when it is opened.
type Gallery []Entry

// A Handler serves the page. It must be closed.
type Handler struct {
	gallery Gallery
	runs    *runs
	mux     *http.ServeMux
}

// New returns the handler of a page.
func New(gallery Gallery) *Handler {
	h := &Handler{gallery: append(Gallery{}, gallery...), runs: newRuns((*scenario.Scenario).Compare), mux: http.NewServeMux()}
	h.mux.HandleFunc("GET /{$}", serveAsset)
	h.mux.HandleFunc("GET /{file}", serveAsset)
	h.mux.HandleFunc("GET /gallery.json", h.serveGallery)
	h.mux.HandleFunc("POST /edit", h.edit)
	h.mux.HandleFunc("POST /runs", h.start)
	h.mux.HandleFunc("GET /runs/{id}", h.look)
	h.mux.HandleFunc("DELETE /runs/{id}", h.cancel)
	return h
}

// Close cancels all runs and waits for their end. Runs are refused from then on.
func (h *Handler) Close() { h.runs.close() }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header())
	if err := allow(r); err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) serveGallery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, h.gallery)
}

// start runs the scenario of the body.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) {
	text, ok := body(w, r, scenario.MaxFile)
	if !ok {
		return
	}
	s, err := scenario.Parse(text)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	id, err := h.runs.start(s)
	switch {
	case errors.Is(err, errTooMany):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, err)
	default:
		answer(w, http.StatusAccepted, map[string]string{"id": id})
	}
}

// look tells how far a run is.
func (h *Handler) look(w http.ResponseWriter, r *http.Request) {
	state, ok := h.runs.look(r.PathValue("id"))
	if !ok {
		refuse(w, http.StatusNotFound, errNoRun)
		return
	}
	answer(w, http.StatusOK, state)
}

// cancel ends a run and forgets it.
func (h *Handler) cancel(w http.ResponseWriter, r *http.Request) {
	if !h.runs.drop(r.PathValue("id")) {
		refuse(w, http.StatusNotFound, errNoRun)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// body reads the body of a request, or refuses it.
func body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, bool) {
	read, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is too large: want %d bytes at most", limit))
		return nil, false
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return nil, false
	}
	return read, true
}

// answer sends a value as JSON.
func answer(w http.ResponseWriter, code int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		code, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(text) // who does not read it does not need it
}

// refuse sends an error.
func refuse(w http.ResponseWriter, code int, err error) {
	answer(w, code, map[string]string{"error": err.Error()})
}
