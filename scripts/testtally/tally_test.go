package main

import (
	"bytes"
	"strings"
	"testing"
)

func run(t *testing.T, events string) (*tally, string) {
	t.Helper()
	var out bytes.Buffer
	ta := newTally(&out)
	if err := ta.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	ta.summary()
	return ta, out.String()
}

func TestPassingPackage(t *testing.T) {
	ta, got := run(t, `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"-test.shuffle 1\n"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: noise\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:1: first\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:2: \n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"        ****\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"        no libudt\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.01s\n"}
{"Action":"pass","Package":"p"}
`)
	want := "ok  \tp\t0.01s\nskipped: p TestB: no libudt\n1 passed, 0 failed, 1 skipped\n"
	if got != want || !ta.good() {
		t.Errorf("good %v, got\n%swant\n%s", ta.good(), got, want)
	}
}

func TestFailuresAreShown(t *testing.T) {
	cases := map[string]string{
		"test": `{"Action":"output","Package":"p","Test":"TestA","Output":"BAD\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
		"panic": `{"Action":"pass","Package":"p","Test":"TestZ"}
{"Action":"output","Package":"p","Test":"TestA","Output":"panic: BAD\n"}
{"Action":"fail","Package":"p"}`,
		"build": `{"Action":"pass","Package":"q","Test":"TestZ"}
{"Action":"pass","Package":"q"}
{"ImportPath":"p","Action":"build-output","Output":"a.go:1: BAD\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p"}`,
		"cut short": `{"Action":"pass","Package":"p","Test":"TestZ"}
BAD pipe`,
		"nothing ran": `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files] BAD\n"}
{"Action":"skip","Package":"p"}`,
	}
	for name, events := range cases {
		t.Run(name, func(t *testing.T) {
			if ta, got := run(t, events); ta.good() || !strings.Contains(got, "BAD") {
				t.Errorf("good %v, got\n%s", ta.good(), got)
			}
		})
	}
}
