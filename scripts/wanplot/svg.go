package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// plot is a drawing of lines over the time in seconds.
type plot struct {
	name  string // of the file
	title string
	note  string // under the title
	unit  string // of the vertical axis
	lines []line
}

type line struct {
	label  string
	points []point
}

type point struct{ x, y float64 }

// The picture, in pixels.
const (
	width, height            = 720, 360
	left, right, top, bottom = 60, 150, 52, 40
)

// colours tell lines apart also for those who see few colours (Okabe and Ito's palette).
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// svg draws the plot. The same plot gives the same bytes.
func (p plot) svg() []byte {
	var b bytes.Buffer
	xMax := p.most(func(q point) float64 { return q.x })
	if xMax <= 0 {
		xMax = 1
	}
	yTicks := ticks(p.most(func(q point) float64 { return q.y }))
	yMax := yTicks[len(yTicks)-1]
	x := func(v float64) float64 { return left + v/xMax*(width-left-right) }
	y := func(v float64) float64 { return height - bottom - v/yMax*(height-top-bottom) }

	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text(&b, left, 20, "start", `font-size="15" font-weight="bold"`, p.title)
	text(&b, left, 37, "start", `fill="#555555"`, p.unit+"; "+p.note)
	for _, v := range yTicks {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#dddddd"/>`+"\n", left, y(v), width-right)
		text(&b, left-6, y(v)+4, "end", "", number(v))
	}
	for _, v := range ticks(xMax) {
		if v > xMax {
			break // the axis ends with the data
		}
		fmt.Fprintf(&b, `<path d="M%.1f %dv4" stroke="#000000"/>`+"\n", x(v), height-bottom)
		text(&b, x(v), height-bottom+18, "middle", "", number(v))
	}
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="#000000"/>`+"\n", left, top, height-bottom, width-right)
	text(&b, (left+width-right)/2, height-6, "middle", "", "seconds")
	for i, l := range p.lines {
		colour := colours[i%len(colours)]
		var d strings.Builder
		for k, q := range l.points {
			fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(k, 1)], x(q.x), y(q.y))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6" stroke-linejoin="round"/>`+"\n", d.String(), colour)
		at := float64(top + 12 + 18*i)
		fmt.Fprintf(&b, `<path d="M%d %.1fh18" stroke="%s" stroke-width="3"/>`+"\n", width-right+12, at-4, colour)
		text(&b, width-right+36, at, "start", "", l.label)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// text writes a label; more is further attributes.
func text(b *bytes.Buffer, x, y float64, anchor, more, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s"`, x, y, anchor)
	if more != "" {
		b.WriteString(" " + more)
	}
	b.WriteString(">")
	_ = xml.EscapeText(b, []byte(s)) // a buffer takes everything
	b.WriteString("</text>\n")
}

// most is the largest of something over all points.
func (p plot) most(of func(point) float64) float64 {
	most := 0.
	for _, l := range p.lines {
		for _, q := range l.points {
			most = max(most, of(q))
		}
	}
	return most
}

// ticks are round numbers from 0 to the first that is not below most: four to nine of them.
func ticks(most float64) []float64 {
	if most <= 0 || math.IsInf(most, 0) || math.IsNaN(most) {
		most = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	switch n := most / step; {
	case n <= 1.6:
		step /= 5
	case n <= 4:
		step /= 2
	}
	out := []float64{0}
	for i := 1; out[len(out)-1] < most*(1-1e-9); i++ {
		out = append(out, float64(i)*step)
	}
	return out
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
