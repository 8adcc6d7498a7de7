package proto

// HandleDatagram takes one datagram addressed to this connection's ID from the
// peer's address. It never blocks and keeps no reference to b.
func (c *Conn) HandleDatagram(now Instant, b []byte) { c.HandleRun(now, b, len(b)) }

// HandleRun takes a batch of datagrams that arrived together: segment bytes
// each, the last may be shorter.
func (c *Conn) HandleRun(now Instant, b []byte, segment int) {
	if c.state == StateClosed || c.bye.heard == byeBelieved {
		return
	}
	c.batch++
	data := 0
	before := c.rcv.next
	for len(b) > 0 {
		n := len(b)
		if segment > 0 && segment < n {
			n = segment
		}
		p := b[:n]
		b = b[n:]
		if len(p) < HeaderSize {
			c.count.Invalid++
			continue
		}
		if IsControl(p) {
			c.onControl(now, p)
			continue
		}
		if c.onData(now, p) {
			data++
		}
	}
	if data > 0 {
		c.arrival.batch(now, data)
		c.acks.since += data
		c.scheduleACK(now, before)
	}
	c.arrange()
}

func (c *Conn) onControl(now Instant, p []byte) {
	ctl, _ := ParseControl(p)
	if c.state == StateConnecting {
		if ctl.Type == TypeHandshake {
			c.onHandshake(now, ctl)
			return
		}
		if !c.rdv.active || !c.metSilently(now, nil) {
			return
		}
	}
	c.lastHeard = now
	if ctl.Type != TypeHandshake {
		c.heard(now, ctl.Type.answers())
	}
	if ctl.Type != TypeShutdown {
		c.bye.alive = true
	}
	switch ctl.Type {
	case TypeHandshake:
		c.onHandshake(now, ctl)
	case TypeACK:
		c.onACK(now, ctl)
	case TypeACK2:
		c.onACK2(now, ctl.Info)
	case TypeNAK:
		c.onNAK(now, ctl.Body)
	case TypeShutdown:
		c.onShutdown(now, ctl.Info)
	case TypePeerError:
		c.peerError, c.peerErrored = ctl.Info, true
	case TypeKeepAlive:
		if ctl.Info == keepAliveHeard {
			c.farewell(now)
		}
	case TypeUser:
		c.onUser(now, ctl)
	case TypeDropRequest:
		c.onDropRequest(now, ctl)
	case TypeCongestionWarning:
		// Never sent by libudt, and obeyed to no effect.
	}
}

// onData takes a data packet and says whether it was one of ours.
func (c *Conn) onData(now Instant, p []byte) bool {
	d, _ := ParseData(p)
	if c.rdv.active && c.state == StateConnecting && !c.metSilently(now, &d.Seq) {
		return false
	}
	if c.state == StateConnecting {
		// It overtook the listener's response; without a copy kept here the
		// peer would have to send it again.
		if c.hs.second == 0 || c.hs.overtook >= maxOvertaking {
			return false
		}
		c.hs.overtook++
	} else {
		c.lastHeard = now
		c.heard(now, false)
		c.bye.alive = true
	}
	i := indexOf(d.Seq, c.rcv.isn, c.rcv.next)
	high := c.rcv.high
	c.count.DataReceived++
	if c.events.received != nil {
		c.tellReceived(now, i, len(d.Payload))
	}
	switch c.rcv.store(i, d.Payload) {
	case recvDuplicate:
		c.count.Duplicates++
		c.reorder.twice(d.Timestamp, c.reorderLimit())
		// The sender has missed our ACK of it, whatever an ACK2 said: one
		// that was forged or spoiled must not silence us for good.
		c.acks.confirmed = min(c.acks.confirmed, i)
		c.acks.missed = true
		if c.state != StateConnecting {
			c.timers.sooner(timerACK, now.Add(syn))
		}
		return true
	case recvOutside:
		c.count.Invalid++ // it tells nothing of the path either
		return false
	}
	again := false
	c.reorder.arrived(d.Timestamp)
	c.count.BytesReceived += int64(len(d.Payload))
	if i >= high {
		c.capacity.packet(now, d.Seq, c.batch)
	}
	switch {
	case i > high:
		c.naks.discovered(now, high, i)
		c.reorder.gap(now, i, d.Timestamp, c.rtt.srtt)
	case i < high:
		if c.reorder.filled(now, i, d.Timestamp, c.reorderLimit()) {
			c.count.Reordered++
		} else {
			again = true
		}
		c.reorder.passed(c.rcv.next)
	}
	if c.messages() {
		c.label(i, d, again)
	}
	if len(d.Payload) < c.payload() {
		c.hurryACK(now)
	}
	return true
}

func (c *Conn) payload() int { return c.mss - IPUDPHeaders - HeaderSize }

func (c *Conn) readable() bool {
	return c.rcv.read < c.rcv.next && !c.messages() || !c.assembler.queue.empty()
}

// Peek appends to vs Views of data in order, each of what lies in a chunk of
// the buffer, at most n; none if there is no data. Between Peek and Consume the
// Views may be read without holding any lock.
func (c *Conn) Peek(vs []View, n int) []View { return c.rcv.peek(vs, n) }

// Consume frees what was taken of vs, which Peek gave: of all but the last that
// something was taken of, everything.
func (c *Conn) Consume(vs []View) {
	c.rcv.consume(vs)
	c.offerWindow()
}

// Read copies data in order to p and returns how much; 0 means none is there,
// and End why if there will be none.
func (c *Conn) Read(p []byte) int {
	total := 0
	var one [1]View
	for total < len(p) {
		vs := c.Peek(one[:0], 1)
		if len(vs) == 0 {
			break
		}
		total += vs[0].Copy(p[total:])
		c.Consume(vs)
	}
	return total
}
