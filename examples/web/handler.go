package main

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"sync/atomic"
)

// newHandler serves the three paths.
func newHandler(cfg config) http.Handler {
	var requests atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if !wait(r.Context(), cfg.latency) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if fails(n, cfg.failRate) {
			w.WriteHeader(http.StatusInternalServerError)
		}
		// That the caller is gone is all that can go wrong here.
		_ = json.NewEncoder(w).Encode(struct {
			Version string `json:"version"`
			Task    string `json:"task"`
			PID     int    `json:"pid"`
		}{cfg.version, cfg.task, os.Getpid()})
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(cfg.healthStatus) })
	mux.HandleFunc("GET /ws", echo)
	return mux
}

// fails says whether the n-th request, counted from 1, fails, so that of any n in a row the share rate does, spread
// evenly and the same in each run.
func fails(n int64, rate float64) bool {
	failed := func(n int64) float64 { return math.Floor(float64(n)*rate + 1e-9) }
	return failed(n) > failed(n-1)
}
