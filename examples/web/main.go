// Command web is a small HTTP server that the demo and the tests deploy. Its environment says how it behaves:
//
//	PORT         where it listens on loopback; the runtime sets it
//	VERSION      what it answers as its version
//	FAIL_RATE    share of requests on / that are answered 500, 0 to 1; /health stays 200
//	LATENCY      how long an answer takes, e.g. 5ms
//	START_DELAY  how long it waits before it listens
//	EXIT_AFTER   how long it lives; "0s" exits at once, with code 1
//	HEALTH_STATUS the code of /health, default 200
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const stopTimeout = 30 * time.Second

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if text := os.Getenv("EXIT_AFTER"); text != "" {
		life, err := time.ParseDuration(text)
		if err != nil || life <= 0 {
			return errors.New("EXIT_AFTER says to exit at once")
		}
		time.AfterFunc(life, func() { os.Exit(1) })
	}
	time.Sleep(duration("START_DELAY"))
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: handler(), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe() }()
	fmt.Println("web", os.Getenv("VERSION"), "listens on", server.Addr)
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Shutdown(bounded)
}

func duration(name string) time.Duration {
	d, err := time.ParseDuration(os.Getenv(name))
	if err != nil {
		return 0
	}
	return d
}

func handler() http.Handler {
	rate, _ := strconv.ParseFloat(os.Getenv("FAIL_RATE"), 64) // unset is 0
	latency := duration("LATENCY")
	health, err := strconv.Atoi(os.Getenv("HEALTH_STATUS"))
	if err != nil {
		health = http.StatusOK
	}
	answer, _ := json.Marshal(map[string]any{ // strings and a number always marshal
		"version": os.Getenv("VERSION"), "task": os.Getenv("SLIPWAY_TASK"), "pid": os.Getpid(),
	})
	var count atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(health) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(latency)
		n := float64(count.Add(1))
		if int64(n*rate) > int64((n-1)*rate) { // spread evenly
			http.Error(w, "this version fails some requests", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // the client may be gone
	})
	return mux
}
