package promise

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func tree(files ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1]), Mode: 0o644}
	}
	return m
}

// TestCheck: each broken promise is found, and what keeps them all is let pass.
func TestCheck(t *testing.T) {
	const killed = Killed
	long := strings.Repeat("x", 100_000)
	dated := tree("f", "new")
	dated["f"].ModTime = time.Unix(1e9, 0)
	private := tree("f", "new")
	private["f"].Mode = 0o600
	link := func(to string) fstest.MapFS {
		return fstest.MapFS{"f": {Data: []byte(to), Mode: fs.ModeSymlink | 0o777}}
	}
	for name, c := range map[string]struct {
		o    Outcome
		says string // "" is all is well
	}{
		"nothing yet":         {Outcome{New: tree("f", "new"), Now: tree(), Sender: killed, Receiver: killed}, ""},
		"complete":            {Outcome{New: tree("d/f", "new"), Now: tree("d/f", "new")}, ""},
		"part":                {Outcome{New: tree("d/f", "new"), Now: tree("d/.f.udtcp-part", "n"), Sender: 5, Receiver: killed}, ""},
		"journal":             {Outcome{New: tree("f", "new"), Now: tree(".f.udtcp-journal", "n"), Sender: 5, Receiver: 5}, ""},
		"old":                 {Outcome{Old: tree("f", "old"), New: tree("f", "new"), Now: tree("f", "old"), Sender: 8, Receiver: 7}, ""},
		"overwritten":         {Outcome{Old: tree("f", "old"), New: tree("f", "new"), Now: tree("f", "new"), Sender: 10, Receiver: 0}, ""},
		"beside":              {Outcome{Old: tree("g", "old"), New: tree("f", "new"), Now: tree("f", "new", "g", "old")}, ""},
		"pipe":                {Outcome{Input: []byte("abc"), Output: []byte("ab"), Sender: 5, Receiver: 5}, ""},
		"whole pipe":          {Outcome{Input: []byte("abc"), Output: []byte("abc")}, ""},
		"receipt":             {Outcome{New: tree("f", "1", "g", "2"), Now: tree("f", "1"), Kept: []string{"f"}, Sender: 5, Receiver: 7}, ""},
		"receiver killed":     {Outcome{New: tree("f", "1"), Now: tree("f", "1"), Sender: 0, Receiver: killed}, ""},
		"truncated":           {Outcome{New: tree("f", "new"), Now: tree("f", "ne"), Sender: 5, Receiver: killed}, "f is not the sender's: it has 2 bytes"},
		"other bytes":         {Outcome{New: tree("f", long+"a"), Now: tree("f", long+"b"), Sender: 5, Receiver: 5}, "differs between bytes 98304"},
		"mixture":             {Outcome{Old: tree("f", "old"), New: tree("f", "new"), Now: tree("f", "ned"), Sender: 5, Receiver: 5}, "mixture"},
		"old is gone":         {Outcome{Old: tree("f", "old"), New: tree("f", "new"), Now: tree(), Sender: 5, Receiver: 5}, "was there and is gone"},
		"other is gone":       {Outcome{Old: tree("g", "old"), New: tree("f", "new"), Now: tree("f", "new")}, "was there and is gone"},
		"stranger":            {Outcome{New: tree("f", "new"), Now: tree("f.tmp", "n"), Sender: 5, Receiver: 5}, "f.tmp is not the sender's"},
		"strange directory":   {Outcome{New: tree("f", "new"), Now: tree("d/.f.udtcp-part", "n"), Sender: 5, Receiver: 5}, "nobody sent"},
		"stranger's part":     {Outcome{New: tree("f", "new"), Now: tree(".g.udtcp-part", "n"), Sender: 5, Receiver: 5}, "belongs to no file"},
		"left behind":         {Outcome{New: tree("f", "new"), Now: tree("f", "new", ".f.udtcp-journal", "n")}, "left behind"},
		"content sender":      {Outcome{New: tree("f", "new"), Now: tree("f", "new"), Sender: 0, Receiver: 7}, "the sender ended with 0"},
		"sender too soon":     {Outcome{New: tree("f", "new"), Now: tree(), Sender: 0, Receiver: killed}, "promised"},
		"receiver too soon":   {Outcome{New: tree("f", "1", "g", "2"), Now: tree("f", "1"), Sender: 10, Receiver: 0}, "g is promised"},
		"still the old":       {Outcome{Old: tree("f", "old"), New: tree("f", "new"), Now: tree("f", "old")}, "f is promised"},
		"receipt for nothing": {Outcome{New: tree("f", "1"), Now: tree(".f.udtcp-part", "1"), Kept: []string{"f"}, Sender: 5, Receiver: killed}, "promised"},
		"time":                {Outcome{New: dated, Now: tree("f", "new"), Attributes: true}, "its time"},
		"mode":                {Outcome{New: tree("f", "new"), Now: private, Attributes: true}, "its mode"},
		"mode is not asked":   {Outcome{New: tree("f", "new"), Now: private}, ""},
		"file for directory":  {Outcome{New: tree("d/f", "new"), Now: tree("d", ""), Sender: 5, Receiver: 5}, "its type"},
		"link":                {Outcome{New: link("there"), Now: link("there")}, ""},
		"other link":          {Outcome{New: link("there"), Now: link("here"), Sender: 5, Receiver: 5}, "it leads to \"here\""},
		"file for link":       {Outcome{New: link("there"), Now: tree("f", "new"), Sender: 5, Receiver: 5}, "its type"},
		"gap":                 {Outcome{Input: []byte("abcd"), Output: []byte("abd"), Sender: 5, Receiver: 5}, "from byte 2"},
		"repeat":              {Outcome{Input: []byte("abcd"), Output: []byte("abcdd"), Sender: 5, Receiver: 5}, "from byte 4"},
		"short pipe":          {Outcome{Input: []byte("abcd"), Output: []byte("abc"), Sender: 0, Receiver: killed}, "3 bytes of 4"},
	} {
		err := Check(c.o)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
