package cli

import (
	"fmt"
	"io"
	"sync"
)

// console is standard error: lines for people, and under them at most one progress bar. It is safe for many goroutines,
// so that lines and bar never tear each other.
type console struct {
	mu        sync.Mutex
	w         io.Writer
	verbosity int // -1 errors alone, 0, 1 -v, 2 -vv
	color     bool
	bar       *bar // drawn under the last line; nil: none
}

const prefix = "udtcp: "

// info tells what a user wants to know who asked for nothing special.
func (c *console) info(format string, args ...any) { c.line(0, "", "", format, args...) }

// detail tells what -v is for.
func (c *console) detail(format string, args ...any) { c.line(1, "", "", format, args...) }

// detailed tells whether -v was given, for lines of which there are so many that wording them for nobody counts.
func (c *console) detailed() bool { return c.verbosity >= 1 }

// trace tells what -vv is for: protocol events.
func (c *console) trace(format string, args ...any) { c.line(2, "", "", format, args...) }

// warn tells of something that is not as it should be and does not end the run.
func (c *console) warn(format string, args ...any) {
	c.line(0, ansiYellow, "warning: ", format, args...)
}

// fail tells why the run ends, and the next step. Nothing silences it.
func (c *console) fail(v verdict) {
	c.line(-1, ansiRed, "", "%s", v.message)
	if v.hint != "" {
		c.line(-1, "", "hint: ", "%s", v.hint)
	}
}

// progress writes a line that was asked for by --progress, whatever the verbosity.
func (c *console) progress(format string, args ...any) { c.line(-1, "", "", format, args...) }

// table writes a line as it is, without the program's name before it.
func (c *console) table(format string, args ...any) {
	c.write(printable(fmt.Sprintf(format, args...)) + "\n")
}

func (c *console) line(level int, color, label, format string, args ...any) {
	if c.verbosity < level {
		return
	}
	head := prefix + label
	if c.color && color != "" {
		head = color + prefix + label + ansiReset
	}
	c.write(head + printable(fmt.Sprintf(format, args...)) + "\n")
}

func (c *console) write(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.clear()
	}
	// A terminal that went away leaves nobody to be told.
	fmt.Fprint(c.w, s)
}

// setBar puts a bar under the lines; nil takes it away.
func (c *console) setBar(b *bar) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.clear()
	}
	c.bar = b
}

// draw shows the bar with a new sample.
func (c *console) draw(s sample) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		c.bar.draw(s)
	}
}
