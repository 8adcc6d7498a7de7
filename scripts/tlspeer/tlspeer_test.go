package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"
)

// start serves in the background and gives the event "listening", the events after it and serve's result.
func start(t *testing.T) (event, *bufio.Scanner, <-chan error) {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { r.Close() })
	result := make(chan error, 1)
	go func() {
		err := serve(nil, w)
		w.CloseWithError(io.EOF)
		result <- err
	}()
	lines := bufio.NewScanner(r)
	return next(t, lines), lines, result
}

func next(t *testing.T, lines *bufio.Scanner) (e event) {
	t.Helper()
	if !lines.Scan() {
		t.Fatal("the peer said nothing")
	}
	if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestBothEndsAgree(t *testing.T) {
	listening, lines, result := start(t)
	var out bytes.Buffer
	if err := dial(nil, listening.Address, listening.Pin, 50*time.Millisecond, &out); err != nil {
		t.Fatal(err)
	}
	received := next(t, lines)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	sent := next(t, bufio.NewScanner(&out))
	if sent.Bytes < block || sent.Bytes != received.Bytes {
		t.Errorf("sent %d bytes, received %d", sent.Bytes, received.Bytes)
	}
	for _, e := range []event{sent, received} {
		if e.Event != "end" || !strings.HasPrefix(e.Cipher, "TLS_") || e.Seconds <= 0 || e.Goodput <= 0 {
			t.Errorf("reported %+v", e)
		}
	}
}

func TestAnotherCertificateIsRefused(t *testing.T) {
	listening, _, result := start(t)
	err := dial(nil, listening.Address, strings.Repeat("0", len(listening.Pin)), time.Second, io.Discard)
	if err == nil || !strings.Contains(err.Error(), listening.Pin) {
		t.Errorf("the wrong pin gave %v", err)
	}
	if err := <-result; err == nil {
		t.Error("serve counts a refused connection as a measurement")
	}
}
