package cli

import "testing"

func TestParseRemote(t *testing.T) {
	for in, want := range map[string]string{
		"host":                 "host:9000",
		"host:7000":            "host:7000",
		"10.0.0.1":             "10.0.0.1:9000",
		"10.0.0.1:1":           "10.0.0.1:1",
		"[::1]":                "[::1]:9000",
		"[::1]:7000":           "[::1]:7000",
		"::1":                  "[::1]:9000",
		"fe80::1%eth0":         "[fe80::1%eth0]:9000",
		"[fe80::1%eth0]:65535": "[fe80::1%eth0]:65535",
		"a.example.org:09000":  "a.example.org:9000",
	} {
		got, err := parseRemote(in)
		if err != nil || got.String() != want {
			t.Errorf("parseRemote(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ":7000", "host:0", "host:", "host:x", "host:70000", "host:-1", "host:+1", "::1:9000:x", "a:b:c", "[::1", "[host]:1", "[10.0.0.1]:1",
		"[::1]7000", "./file", "dir/file:9000", "user@host", "a b", "host:9000\n", "ho\x1bst", "ho\u202est:1",
	} {
		if got, err := parseRemote(in); err == nil {
			t.Errorf("parseRemote(%q) = %v, want an error", in, got)
		}
	}
}

func TestParseLocal(t *testing.T) {
	for in, want := range map[string]string{
		":0": ":0", ":7000": ":7000", "127.0.0.1": "127.0.0.1:5", "[::]:0": "[::]:0", "localhost:0": "localhost:0",
	} {
		got, err := parseLocal(in, 5)
		if err != nil || got.String() != want {
			t.Errorf("parseLocal(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
}

func TestLooksLikeListen(t *testing.T) {
	for in, want := range map[string]bool{
		":7000": true, "0.0.0.0:7000": true, "host:0": true, "[::]:9000": true,
		"": false, "file": false, "7000": false, "host": false, "::1": false, "::1:9000": false, "./a:9000": false, "a:b": false, "a:": false,
		"C:": false, "[::]": false, "--": false, "-v": false,
	} {
		if got := looksLikeListen(in); got != want {
			t.Errorf("looksLikeListen(%q) = %v", in, got)
		}
	}
}
