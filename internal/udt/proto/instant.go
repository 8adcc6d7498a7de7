package proto

import "time"

// Instant is a moment in nanoseconds since the connection's own epoch. The
// engine never reads a clock: whoever drives it hands the time in.
type Instant int64

// never is a timer that is not set.
const never = Instant(1<<63 - 1)

// Add returns the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// microseconds is the 32-bit, wrapping form of data packet timestamps.
func (t Instant) microseconds() uint32 { return uint32(int64(t) / 1000) }
