package cli

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Socket buffers that are too small for the rate lose packets whenever this process is kept from its processor for a
// moment. The kernel cuts what was asked for to net.core.rmem_max and wmem_max without a word, so we say it.

// A buffer should last for this long at the rate of the moment: the receive buffer for as long as a scheduler may let us
// wait, the send buffer from one burst to the next.
const (
	readBufferLasts  = 10 * time.Millisecond
	writeBufferLasts = 2 * time.Millisecond
)

// checkBuffers warns, once, if the socket's buffers are smaller than asked for and st shows that it matters.
func (a *app) checkBuffers(l link, st *stats) {
	if advice := bufferAdvice(l.SocketBuffers(), st); advice != "" && runtime.GOOS == "linux" {
		a.buffersTold.Do(func() { a.out.warn("%s", advice) })
	}
}

// closeBuffers is checkBuffers at a connection's end; -v hears of drops whatever their cause.
func (a *app) closeBuffers(l link, st *stats) {
	a.checkBuffers(l, st)
	if n := st.PktSockDropTotal; n > 0 {
		a.out.detail("the kernel dropped %s on arrival: no room in the socket's receive buffer", formatCount(int(n), "packet"))
	}
}

// bufferAdvice is what to tell, "" if all is well. b's buffers of 0 are not known.
func bufferAdvice(b socketBuffers, st *stats) string {
	var small, lines []string
	add := func(what, sysctl string, have, want int) {
		small = append(small, fmt.Sprintf("%s buffer is %s instead of %s", what, formatSize(int64(have)), formatSize(int64(want))))
		lines = append(lines, fmt.Sprintf("net.core.%s=%d", sysctl, want))
	}
	if short(b.Read, b.WantRead) && (st.PktSockDropTotal > 0 || !lasts(b.Read, st.MbpsRecvRate, readBufferLasts)) {
		add("receive", "rmem_max", b.Read, b.WantRead)
	}
	if short(b.Write, b.WantWrite) && !lasts(b.Write, st.MbpsSendRate, writeBufferLasts) {
		add("send", "wmem_max", b.Write, b.WantWrite)
	}
	if small == nil {
		return ""
	}
	dropped := ""
	if n := st.PktSockDropTotal; n > 0 {
		dropped = fmt.Sprintf(" (%s dropped so far)", formatCount(int(n), "packet"))
	}
	return fmt.Sprintf("the kernel's %s, too small for this rate%s; as root, before the next run: sysctl -w %s",
		strings.Join(small, ", its "), dropped, strings.Join(lines, " "))
}

func short(have, want int) bool { return have > 0 && have < want }

// lasts tells whether a buffer of size bytes holds what comes in d.
func lasts(size int, megabits float64, d time.Duration) bool {
	return float64(size) >= megabits*1e6/8*d.Seconds()
}
