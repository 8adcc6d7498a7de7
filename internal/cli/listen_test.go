package cli

import (
	"reflect"
	"strings"
	"testing"
)

func TestJoinListen(t *testing.T) {
	for in, want := range map[string]string{
		"recv --listen :7000":        "recv --listen=:7000",
		"recv --listen=:7000":        "recv --listen=:7000",
		"recv --listen":              "recv --listen",
		"recv --listen -o x":         "recv --listen -o x",
		"send --listen f g":          "send --listen f g",
		"send f --listen [::1]:5":    "send f --listen=[::1]:5",
		"send --listen ./a:9000":     "send --listen ./a:9000",
		"send -- --listen :7000":     "send -- --listen :7000",
		"recv --listen --listen :70": "recv --listen --listen=:70",
	} {
		if got := joinListen(strings.Fields(in)); strings.Join(got, " ") != want {
			t.Errorf("joinListen(%s) = %s, want %s", in, strings.Join(got, " "), want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, tc := range []struct {
		listen string // value of --listen; "no" is none, "" a bare one
		args   string
		paths  bool
		local  string
		remote string
		rest   []string
	}{
		{"no", "host", false, "", "host:9000", []string{}},
		{"no", "host:7 a b", true, "", "host:7", []string{"a", "b"}},
		{"", "", false, ":9000", "", nil},
		{"", ":7000", false, ":7000", "", []string{}},
		{"", "host", false, "host:9000", "", []string{}},
		{"", "file", true, ":9000", "", []string{"file"}},
		{"", ":7000 file", true, ":7000", "", []string{"file"}},
		{"", "./a:7000 file", true, ":9000", "", []string{"./a:7000", "file"}},
		{":7000", ":8000 file", true, ":7000", "", []string{":8000", "file"}},
		{"[::1]:7000", "", false, "[::1]:7000", "", nil},
	} {
		var o commonOptions
		if tc.listen != "no" {
			if err := o.listen.Set(tc.listen); err != nil {
				t.Fatal(err)
			}
		}
		ep, rest, err := o.endpoint(strings.Fields(tc.args), tc.paths)
		if err != nil {
			t.Errorf("%+v: %v", tc, err)
			continue
		}
		if ep.listen != (tc.remote == "") || ep.listen && ep.local.String() != tc.local || !ep.listen && ep.remote.String() != tc.remote {
			t.Errorf("%+v: %+v", tc, ep)
		}
		if len(rest) != len(tc.rest) || len(rest) > 0 && !reflect.DeepEqual(rest, tc.rest) {
			t.Errorf("%+v: rest %q", tc, rest)
		}
	}
}
