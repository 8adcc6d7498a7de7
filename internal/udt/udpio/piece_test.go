package udpio

import "testing"

func TestPiece(t *testing.T) {
	for _, c := range []struct {
		name                         string
		length, segment, off, atMost int
		n, seg                       int
	}{
		{"one datagram", 1472, 0, 0, 64, 1472, 0},
		{"segment as long as the message", 1472, 1472, 0, 64, 1472, 0},
		{"segment longer than the message", 1000, 1472, 0, 64, 1000, 0},
		{"nothing", 0, 1472, 0, 64, 0, 0},
		{"whole run", 44*1472 + 100, 1472, 0, 64, 44 * 1472, 1472},
		{"short last", 10*1472 + 100, 1472, 0, 64, 10*1472 + 100, 1472},
		{"the rest of a run", 44*1472 + 100, 1472, 44 * 1472, 64, 100, 0},
		{"too many segments", 200 * 10, 10, 0, 64, 640, 10},
		{"without GSO", 3 * 1000, 1000, 1000, 1, 1000, 0},
		{"without GSO, last", 3*1000 - 1, 1000, 2000, 1, 999, 0},
		{"two do not fit in one send", 80000, 40000, 0, 64, 40000, 0},
		{"two just fit", 3 * 32753, 32753, 0, 64, 2 * 32753, 32753},
	} {
		n, seg := piece(c.length, c.segment, c.off, c.atMost)
		if n != c.n || seg != c.seg {
			t.Errorf("%s: got %d bytes in segments of %d, want %d of %d", c.name, n, seg, c.n, c.seg)
		}
		if seg > 0 && (n > maxRun || datagrams(n, seg) > c.atMost) {
			t.Errorf("%s: %d bytes in segments of %d exceed the kernel's limits", c.name, n, seg)
		}
	}
}

func TestDatagrams(t *testing.T) {
	for _, c := range []struct{ length, segment, want int }{
		{0, 0, 1}, {100, 0, 1}, {100, 100, 1}, {100, 200, 1}, {101, 100, 2}, {200, 100, 2}, {201, 100, 3},
	} {
		m := Message{Buf: make([]byte, c.length), Segment: c.segment}
		if got := m.Datagrams(); got != c.want {
			t.Errorf("%d bytes in segments of %d: %d datagrams, want %d", c.length, c.segment, got, c.want)
		}
	}
}
