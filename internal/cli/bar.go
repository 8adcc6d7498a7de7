package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar is the progress bar of one transfer on a terminal. The console calls it with its own lock held.
type bar struct {
	w     fitWriter
	pb    *progressbar.ProgressBar
	known bool // pb was made with a total
}

func newBar(w io.Writer, width func() int) *bar {
	return &bar{w: fitWriter{w, width}}
}

// make starts the drawing anew; total -1 gives a spinner.
func (b *bar) make(total int64) {
	size := 10
	if cols := b.w.width(); cols > 100 {
		size = min(cols-90, 40)
	}
	b.known = total >= 0
	b.pb = progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetWidth(size),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionShowDescriptionAtLineEnd(),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionSpinnerType(9),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws on its own, past the console's lock
	)
}

// clear takes the bar off the screen until the next draw. (A terminal that cannot be written to leaves nobody to be
// told, here and in draw.)
func (b *bar) clear() {
	if b.pb != nil {
		_ = b.pb.Clear()
	}
}

func (b *bar) draw(s sample) {
	if s.total < 0 {
		if b.pb == nil || b.known {
			b.make(-1)
		}
	} else {
		// One more than there is: at its maximum the bar would end, yet a total may still grow and the end is ours to say.
		most := max(s.total, s.bytes) + 1
		if b.pb == nil || !b.known {
			b.make(most)
		} else if b.pb.GetMax64() != most {
			b.pb.ChangeMax64(most)
		}
	}
	b.pb.Describe(barText(s))
	_ = b.pb.Set64(s.bytes)
}

// barText is what stands behind the bar: RTT, which file, its name.
func barText(s sample) string {
	text := "rtt " + formatSeconds(s.rtt.Round(10*time.Microsecond))
	if s.totalFiles > 1 {
		text += fmt.Sprintf(" file %d/%d", min(s.files+1, s.totalFiles), s.totalFiles)
	}
	if s.name != "" {
		text += " " + quote(shorten(s.name, 40))
	}
	return text
}

// fitWriter cuts what the bar writes to the terminal's width: a line that wraps could not be taken away again.
type fitWriter struct {
	w     io.Writer
	width func() int
}

const clearToEnd = "\x1b[0K"

func (f fitWriter) Write(p []byte) (int, error) {
	s := string(p)
	if line, ok := strings.CutSuffix(s, clearToEnd); ok {
		if cols := f.width(); cols > 1 {
			s = cutColumns(line, cols-1) + clearToEnd
		}
	}
	if _, err := io.WriteString(f.w, s); err != nil {
		return 0, err
	}
	return len(p), nil
}

// cutColumns cuts s to n columns. Characters from U+1100 on are taken for two wide, which errs on the safe side.
func cutColumns(s string, n int) string {
	for i, r := range s {
		switch {
		case r == '\r':
			continue
		case r >= 0x1100:
			n -= 2
		default:
			n--
		}
		if n < 0 {
			return s[:i]
		}
	}
	return s
}
