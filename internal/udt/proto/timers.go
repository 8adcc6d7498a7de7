package proto

// A timerID names one of a connection's timers.
type timerID int

const (
	timerHandshake timerID = iota // repeat the request
	timerConnect                  // give up connecting
	timerHold                     // repeat the response, then let data go
	timerACK
	timerNAK
	timerKeepAlive
	timerPeer   // the peer has been silent too long
	timerLinger // closing takes too long
	timerBye    // repeat our shutdown, or believe the peer's
	timerCount
)

// timers is a set of deadlines; there are so few that an array beats a heap.
type timers [timerCount]Instant

func (t *timers) init() {
	for i := range t {
		t[i] = never
	}
}

func (t *timers) set(id timerID, at Instant)    { t[id] = at }
func (t *timers) clear(id timerID)              { t[id] = never }
func (t *timers) sooner(id timerID, at Instant) { t[id] = min(t[id], at) }
func (t *timers) isSet(id timerID) bool         { return t[id] != never }

// expire clears a due timer and says so.
func (t *timers) expire(id timerID, now Instant) bool {
	if t[id] > now {
		return false
	}
	t[id] = never
	return true
}

func (t *timers) next() Instant {
	n := never
	for _, at := range t {
		n = min(n, at)
	}
	return n
}
