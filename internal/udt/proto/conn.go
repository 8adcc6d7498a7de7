package proto

import (
	"net/netip"
	"time"
)

// Config is what a connection starts with. All fields must be set; Fill in
// the driver's defaults first.
type Config struct {
	Type           SocketType
	ID             uint32 // own socket ID, 1..0x7FFFFFFF, unpredictable
	ISN            Seq    // initial sequence number of a client, unpredictable
	MSS            int    // bytes, IP and UDP headers included
	Window         int    // packets: most that the peer may have in flight, most buffered of it
	FirstWindow    int    // packets: the latter until OpenWindow; Window if 0
	SendWindow     int    // packets: most buffered to be sent; Window if 0
	MaxBandwidth   float64
	Controller     Controller
	UserQueue      int           // user packets that wait for TakeUser at most; 0 = none are kept
	EarlyData      bool          // client: data may go to a listener of ours before it has answered the second request
	PeerTimeout    time.Duration // silence after which the peer is taken for lost
	ConnectTimeout time.Duration
	PeerIP         netip.Addr // for the handshake's address field
}

// State is a connection's stage of life.
type State uint8

// States.
const (
	StateConnecting State = iota // client or rendezvous: handshake under way
	StateConnected
	StateDraining // closed here: what was written is still being delivered
	StateGoodbye  // closed here: telling the peer
	StateClosed   // over; Transmit gives nothing more
)

// End says why a connection is over.
type End uint8

// Ends.
const (
	EndNone         End = iota
	EndLocal            // closed here, everything written was acknowledged
	EndLinger           // closed here, but the peer did not acknowledge everything in time
	EndAborted          // given up here
	EndPeer             // the peer closed in good order
	EndPeerAbort        // the peer gave up, or closed before all it had sent arrived
	EndLost             // the peer fell silent
	EndTimeout          // no answer to the connection request
	EndRejected         // the listener refused
	EndOtherType        // the listener refused: its sockets are of another type
	EndOtherVersion     // the listener refused: it speaks another version
	EndMismatched       // the answer was not one to our request, or the peer's request does not fit ours
	EndListener         // what was to be met half-way is a listener
)

// Conn is one end of a UDT connection as a value: packets and time go in,
// packets come out. It has no goroutine, lock, clock or socket. See doc.go.
type Conn struct {
	cfg   Config
	state State
	end   End

	server     bool
	extended   bool // the peer is an end of ours
	peerID     uint32
	peerFlight int // packets the peer's handshake lets us have in flight
	mss        int // negotiated
	opened     Instant
	isn        Seq // of what is sent; see rcv.isn
	hs         clientHandshake
	rdv        rendezvous
	hold       responseHold

	snd       sendBuffer
	rcv       recvBuffer
	assembler assembler    // of messages
	rtt       rttEstimator // as UDT knows it: from ACK2s, or the peer's ACKs
	ackRTT    rttEstimator // from sending a packet to its acknowledgement
	pace      pacer
	cc        Controller
	events    events
	path      PathState

	delivery deliverySampler

	flowEnd        packetIndex // the peer has no room from here on
	ackNumber      uint32      // of the last full ACK believed
	contradictions int         // full ACKs since, newer and of less
	contradictedAt Instant     // the first of them
	settledTo      packetIndex // every packet before it has arrived or was reported missing
	ackedFull      packetIndex // every packet before it was acknowledged in a full ACK
	progressAt     Instant     // when una last moved, or the first packet left
	backoff        int         // loss timer expiries without progress
	probe          int         // packets to repeat at the next expiry
	probeMoved     bool        // una moved since the last expiry
	probePair      bool        // the next packet completes a probe pair
	peerError      uint32
	peerErrored    bool

	arrival  arrivalSpeed
	capacity linkCapacity
	batch    int64 // number of the batch being handled
	acks     ackSender
	window   recvWindow
	naks     nakQueue
	reorder  reordering

	ack2      ack2Queue
	keepAlive bool
	bye       goodbye
	outbox    fifo[outgoing]
	inbox     fifo[UserPacket]

	lastHeard Instant
	lastSent  Instant
	timers    timers

	busySince Instant // since when there has been data to deliver; never if none
	busyTotal time.Duration

	scratch []byte
	count   Counters
}

// newConn holds what both ends share.
func newConn(now Instant, cfg Config) *Conn {
	c := &Conn{cfg: cfg, cc: cfg.Controller, opened: now, lastHeard: now, lastSent: now, busySince: never, probe: 1}
	if c.cfg.SendWindow == 0 {
		c.cfg.SendWindow = cfg.Window
	}
	c.rtt.init()
	c.ackRTT.init()
	c.timers.init()
	c.acks.init()
	return c
}

// establish starts the data phase.
func (c *Conn) establish(now Instant, mss int, peerID uint32, peerFlight int) {
	c.state = StateConnected
	c.mss, c.peerID, c.peerFlight = mss, peerID, peerFlight
	c.snd.init(c.isn, mss, peerID, 0)
	c.window.init(now, c.payload())
	c.flowEnd = packetIndex(min(peerFlight, c.cfg.SendWindow))
	c.lastHeard = now
	c.timers.set(timerPeer, now.Add(c.cfg.PeerTimeout))
	c.timers.set(timerKeepAlive, now.Add(keepAliveInterval))
	c.timers.clear(timerHandshake)
	c.path = PathState{PacketSize: mss, MaxWindow: min(peerFlight, c.cfg.SendWindow), ISN: c.isn, conn: c}
	c.events = eventsOf(c.cc)
	c.refreshPath(now)
	c.cc.Init(&c.path)
	c.applyRate()
	c.sizeSendBuffer()
}

// Ready is what a connection can do at once; a pure function of its state.
type Ready struct {
	Connected bool // the handshake is over, for better or worse
	Readable  bool // Peek has data or NextMessage a message, or reading has come to an end
	Writable  bool // Reserve has a decent amount of room, and all that the last message refused wants; or fails for good
	Closed    bool // nothing more will be sent or taken
}

// Ready returns what can be done at once.
func (c *Conn) Ready() Ready {
	over := c.state == StateClosed
	return Ready{
		Connected: c.state != StateConnecting,
		Readable:  c.readable() || over || c.bye.heard == byeBelieved,
		Writable:  over || c.bye.heard == byeBelieved || c.state == StateConnected && c.writable(),
		Closed:    over,
	}
}

// Type returns what the connection carries; it never changes.
func (c *Conn) Type() SocketType { return c.cfg.Type }

// State returns the stage of life.
func (c *Conn) State() State { return c.state }

// End returns why the connection is over, EndNone while it is not. The peer's
// close ends it for reading and writing before it is closed here.
func (c *Conn) End() End {
	if c.end == EndNone && c.bye.heard == byeBelieved {
		return c.bye.end
	}
	return c.end
}

// MSS returns the negotiated packet size in bytes.
func (c *Conn) MSS() int { return c.mss }

// ID returns the own socket ID.
func (c *Conn) ID() uint32 { return c.cfg.ID }

// PeerID returns the peer's socket ID, 0 while it is unknown.
func (c *Conn) PeerID() uint32 { return c.peerID }

// ISN returns the initial sequence number of what is sent.
func (c *Conn) ISN() Seq { return c.isn }

// Controller returns the congestion controller.
func (c *Conn) Controller() Controller { return c.cc }

// PeerError returns and clears the error code the peer reported (type 8).
func (c *Conn) PeerError() (code uint32, ok bool) {
	code, ok = c.peerError, c.peerErrored
	c.peerErrored = false
	return code, ok
}

// terminate ends the connection.
func (c *Conn) terminate(now Instant, end End) {
	if c.state == StateClosed {
		return
	}
	c.noteIdle(now)
	if c.events.close != nil { // connected
		c.refreshPath(now)
		c.events.close.OnClose(&c.path)
	}
	c.state, c.end = StateClosed, end
	c.timers.init()
	c.hold, c.hs.assumed = responseHold{}, false
	c.acks.pending = ackNone
	c.ack2.n, c.keepAlive, c.bye.answer = 0, false, false
}

// LastHeard is when something last came from the peer.
func (c *Conn) LastHeard() Instant { return c.lastHeard }

// Stats returns a snapshot.
func (c *Conn) Stats(now Instant) Stats {
	s := Stats{
		Counters:         c.count,
		SendDuration:     c.busyTotal,
		Period:           time.Duration(c.pace.period),
		FlowWindow:       max(0, int(c.flowEnd-c.snd.una)),
		CongestionWindow: int(min(c.cc.Window(), 1<<30)),
		InFlight:         c.snd.inFlight(),
		RTT:              c.rtt.srtt,
		Capacity:         c.path.Capacity,
		ReceiveFree:      c.rcv.free(),
		MSS:              c.mss,
	}
	if c.busySince != never {
		s.SendDuration += now.Sub(c.busySince)
	}
	if c.mss > 0 {
		s.Payload = c.snd.payload
		s.SendFree = max(0, c.snd.limit-c.snd.held())
	}
	return s
}

// refreshPath brings the controller's view up to date.
func (c *Conn) refreshPath(now Instant) {
	c.path.Now = now
	c.path.RTT, c.path.RTTVar = c.rtt.srtt, c.rtt.rttvar
	c.path.InFlight = c.snd.inFlight()
	c.path.Pipe, c.path.Delivered = c.delivery.pipe(), c.delivery.delivered
	c.path.Lost = c.delivery.lost - c.delivery.presumed
	c.path.Acked, c.path.Sent = int64(c.snd.una), int64(c.snd.next)
}

// SetMaxBandwidth limits what is sent to so many bytes/s, headers included; 0
// or less lifts the limit.
func (c *Conn) SetMaxBandwidth(rate float64) {
	c.cfg.MaxBandwidth = rate
	if c.state != StateConnecting {
		c.applyRate()
	}
}

// Unread returns how many packets are in order and not yet read.
func (c *Conn) Unread() int { return int(c.rcv.next - c.rcv.read) }

// applyRate sets the pacer to the controller's rate, cut to MaxBandwidth.
func (c *Conn) applyRate() {
	rate := c.cc.Rate()
	if limit := c.cfg.MaxBandwidth / float64(c.mss); limit > 0 && (rate <= 0 || rate > limit) {
		rate = limit
	}
	c.pace.setRate(rate)
}

// noteBusy and noteIdle account the time in which there is data to deliver.
func (c *Conn) noteBusy(now Instant) {
	if c.busySince == never {
		c.busySince = now
	}
}

func (c *Conn) noteIdle(now Instant) {
	if c.busySince != never {
		c.busyTotal += now.Sub(c.busySince)
		c.busySince = never
	}
}
