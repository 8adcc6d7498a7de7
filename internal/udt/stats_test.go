package udt_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/udtcp/udtcp/internal/udt"
	"github.com/udtcp/udtcp/internal/udt/simnet"
)

const mib = 1 << 20

// payload is how much data a packet of 1500 bytes carries, header is the rest.
const payload = 1456

func TestStats(t *testing.T) {
	link := lan
	link.Loss = 0.005
	connected(t, simConfig{link: link}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		if z := client.Stats(false); z.PktSentTotal != 0 || z.PktRecvTotal != 0 || z.UsSndDurationTotal != 0 || z.PktFlightSize != 0 {
			t.Errorf("before any data: %+v", z)
		}
		data := noise(1, mib)
		<-time.After(time.Second)
		begin := time.Now()
		var during udt.Stats
		meanwhile(t,
			func() error { return write(client, data) },
			func() error {
				if err := wantBytes(server, data[:mib/2]); err != nil {
					return err
				}
				during = client.Stats(false)
				return wantBytes(server, data[mib/2:])
			},
		)
		took := time.Since(begin)
		<-time.After(time.Second)
		snd, rcv := client.Stats(false), server.Stats(false)
		network := s.net.Stats(s.client.host, s.server.host)
		least := int64(mib/payload) + 1

		for what, ok := range map[string]bool{
			"age":                   snd.MsTimestamp >= 2000 && snd.MsTimestamp < 60_000,
			"sent":                  snd.PktSentTotal >= least && snd.PktSentTotal <= int64(network.Seen),
			"nothing received":      snd.PktRecvTotal == 0 && snd.PktRcvLossTotal == 0 && snd.PktSentNAKTotal == 0 && snd.PktSentACKTotal == 0,
			"received":              rcv.PktRecvTotal >= least && rcv.PktRecvTotal <= snd.PktSentTotal,
			"nothing sent":          rcv.PktSentTotal == 0 && rcv.PktRetransTotal == 0 && rcv.PktSndLossTotal == 0 && rcv.UsSndDurationTotal == 0,
			"lost":                  snd.PktSentTotal-rcv.PktRecvTotal <= int64(network.Lost) && network.Lost > 0,
			"receiver's losses":     rcv.PktRcvLossTotal > 0 && rcv.PktRcvLossTotal <= int64(network.Lost),
			"sender's losses":       snd.PktSndLossTotal >= rcv.PktRcvLossTotal,
			"retransmissions":       snd.PktRetransTotal >= rcv.PktRcvLossTotal && snd.PktRetransTotal <= snd.PktSndLossTotal,
			"sent is the sum":       snd.PktSentTotal == least+snd.PktRetransTotal,
			"ACKs":                  rcv.PktSentACKTotal > 0 && snd.PktRecvACKTotal > 0 && snd.PktRecvACKTotal <= rcv.PktSentACKTotal,
			"NAKs":                  rcv.PktSentNAKTotal > 0 && snd.PktRecvNAKTotal > 0 && snd.PktRecvNAKTotal <= rcv.PktSentNAKTotal,
			"time with data":        time.Duration(snd.UsSndDurationTotal)*time.Microsecond <= took+time.Second && snd.UsSndDurationTotal > took.Microseconds()/2,
			"send rate":             snd.MbpsSendRate > 0 && snd.MbpsSendRate < 200,
			"receive rate":          rcv.MbpsRecvRate > 0 && rcv.MbpsRecvRate <= snd.MbpsSendRate*1.01,
			"period":                during.UsPktSndPeriod >= 0 && during.UsPktSndPeriod < 1e6,
			"flow window":           during.PktFlowWindow > 100,
			"congestion window":     during.PktCongestionWindow >= 16,
			"in flight":             during.PktFlightSize > 0 && during.PktFlightSize <= during.PktFlowWindow,
			"nothing in flight":     snd.PktFlightSize == 0,
			"RTT":                   snd.MsRTT >= 10 && snd.MsRTT < 50,
			"receiver's RTT":        rcv.MsRTT >= 10 && rcv.MsRTT < 50,
			"bandwidth":             snd.MbpsBandwidth > 20 && snd.MbpsBandwidth < 400,
			"send buffer":           during.ByteAvailSndBuf > 0 && during.ByteAvailSndBuf%1500 == 0 && snd.ByteAvailSndBuf >= mib,
			"receive buffer":        rcv.ByteAvailRcvBuf >= mib,
			"intervals are totals":  snd.PktSent == snd.PktSentTotal && snd.PktRetrans == snd.PktRetransTotal && rcv.PktRecv == rcv.PktRecvTotal,
			"intervals are totals2": snd.UsSndDuration == snd.UsSndDurationTotal && rcv.PktSentACK == rcv.PktSentACKTotal && rcv.PktSentNAK == rcv.PktSentNAKTotal,
		} {
			if !ok {
				t.Errorf("%s is off", what)
			}
		}
		if t.Failed() {
			t.Logf("sender %+v", snd)
			t.Logf("during %+v", during)
			t.Logf("receiver %+v", rcv)
			t.Logf("network %+v", network)
		}
	})
}

// Clearing starts a new interval; totals go on.
func TestStatsClear(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		var sum, sumACK int64
		for i := range 5 {
			data := noise(1, 100_000)
			meanwhile(t,
				func() error { return write(client, data) },
				func() error { return wantBytes(server, data) },
			)
			<-time.After(time.Second)
			if peek := client.Stats(false); peek.PktSent != client.Stats(false).PktSent {
				t.Error("looking changes what is seen")
			}
			st := client.Stats(true)
			sum, sumACK = sum+st.PktSent, sumACK+st.PktRecvACK
			if st.PktSent < 69 || st.PktSent > 80 || st.PktSentTotal != sum || st.PktRecvACKTotal != sumACK {
				t.Errorf("round %d: sent %d, total %d, sum %d", i, st.PktSent, st.PktSentTotal, sum)
			}
			if want := 100_000 * 8 / 1e6; st.MbpsSendRate < want*0.8 || st.MbpsSendRate > want*1.2 {
				t.Errorf("round %d: %g Mbit/s over a second, want about %g", i, st.MbpsSendRate, want)
			}
			if now := client.Stats(false); now.PktSent != 0 || now.UsSndDuration != 0 || now.MbpsSendRate != 0 || now.PktSentTotal != sum {
				t.Errorf("just cleared: %+v", now)
			}
		}
	})
}

// The buffers' room follows what is in them.
func TestStatsOfFullBuffers(t *testing.T) {
	connected(t, simConfig{client: smallWindow, server: smallWindow}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		client.SetWriteDeadline(time.Now().Add(time.Second))
		_, err := writeCall(client)
		wantDeadline(t, err)
		if n := client.Unacknowledged(); n < 40 {
			t.Errorf("%d packets not acknowledged", n)
		}
		snd, rcv := client.Stats(false), server.Stats(false)
		if snd.ByteAvailSndBuf > 2*1500 || rcv.ByteAvailRcvBuf > 2*1500 || snd.PktFlowWindow > 2 {
			t.Errorf("room to send %d, to receive %d, flow window %d", snd.ByteAvailSndBuf, rcv.ByteAvailRcvBuf, snd.PktFlowWindow)
		}
		go discard(server)
		<-time.After(5 * time.Second)
		if n := client.Unacknowledged(); n != 0 {
			t.Errorf("%d packets not acknowledged", n)
		}
		snd, rcv = client.Stats(false), server.Stats(false)
		if snd.ByteAvailSndBuf < 40*1500 || rcv.ByteAvailRcvBuf < 40*1500 || snd.PktFlowWindow < 40 {
			t.Errorf("room to send %d, to receive %d, flow window %d", snd.ByteAvailSndBuf, rcv.ByteAvailRcvBuf, snd.PktFlowWindow)
		}
	})
}

// Stats of a connection that is over stay as they were.
func TestStatsAfterTheEnd(t *testing.T) {
	connected(t, simConfig{}, func(t *testing.T, _ *sim, client, server *udt.Conn) {
		data := noise(1, 100_000)
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
			func() error { <-time.After(5 * time.Second); return client.Close() },
		)
		before := client.Stats(false)
		<-time.After(time.Hour)
		after := client.Stats(false)
		if after.PktSentTotal != before.PktSentTotal || after.UsSndDurationTotal != before.UsSndDurationTotal || after.MsRTT != before.MsRTT {
			t.Errorf("%+v became %+v", before, after)
		}
	})
}

// MaxBandwidth is kept, counted with headers.
func TestMaxBandwidth(t *testing.T) {
	c := simConfig{link: simnet.Params{Rate: 1e9, Delay: time.Millisecond}}
	c.client.MaxBandwidth = 1e6
	connected(t, c, func(t *testing.T, s *sim, client, server *udt.Conn) {
		begin := time.Now()
		data := noise(1, 2*mib)
		meanwhile(t,
			func() error { return write(client, data) },
			func() error { return wantBytes(server, data) },
		)
		took := time.Since(begin).Seconds()
		bytes := float64(s.net.Stats(s.client.host, s.server.host).Bytes)
		if rate := bytes / took; rate > 1.05e6 || rate < 0.8e6 {
			t.Errorf("%.0f bytes/s, want 1e6", rate)
		}
		if period := client.Stats(false).UsPktSndPeriod; period < 1490 || period > 2000 {
			t.Errorf("a packet every %g us", period)
		}
	})
}

// The JSON form is part of the command line's contract.
func TestStatsJSON(t *testing.T) {
	b, err := json.Marshal(udt.Stats{})
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"ms_timestamp", "pkt_sent_total", "pkt_recv_total", "pkt_snd_loss_total", "pkt_rcv_loss_total",
		"pkt_retrans_total", "pkt_sent_ack_total", "pkt_recv_ack_total", "pkt_sent_nak_total",
		"pkt_recv_nak_total", "us_snd_duration_total", "pkt_sent", "pkt_recv", "pkt_snd_loss",
		"pkt_rcv_loss", "pkt_retrans", "pkt_sent_ack", "pkt_recv_ack", "pkt_sent_nak", "pkt_recv_nak",
		"us_snd_duration", "mbps_send_rate", "mbps_recv_rate", "us_pkt_snd_period", "pkt_flow_window",
		"pkt_congestion_window", "pkt_flight_size", "ms_rtt", "mbps_bandwidth", "byte_avail_snd_buf",
		"byte_avail_rcv_buf", "pkt_sock_drop_total", "pkt_sock_drop",
	} {
		if _, ok := m[key]; !ok {
			t.Errorf("no %q", key)
		}
		delete(m, key)
	}
	if len(m) > 0 {
		t.Errorf("keys nobody knows: %v", m)
	}
}

// What the kernel drops for lack of room counts from the connection's begin on.
func TestStatsSocketDrops(t *testing.T) {
	simulate(t, simConfig{}, func(t *testing.T, s *sim) {
		s.server.sock.drops.Store(5)
		_, server := s.pair()
		for _, c := range []struct {
			drops           uint64
			total, interval int64
			clear           bool
		}{{5, 0, 0, false}, {12, 7, 7, false}, {13, 8, 8, true}, {13, 8, 0, false}, {20, 15, 7, false}} {
			s.server.sock.drops.Store(c.drops)
			if st := server.Stats(c.clear); st.PktSockDropTotal != c.total || st.PktSockDrop != c.interval {
				t.Errorf("%d drops: %d, %d in the interval; want %d, %d", c.drops, st.PktSockDropTotal, st.PktSockDrop, c.total, c.interval)
			}
		}
	})
}

func TestSocketBuffers(t *testing.T) {
	connected(t, simConfig{server: udt.Config{ReadBuffer: 1 << 30, WriteBuffer: 1 << 29}}, func(t *testing.T, s *sim, client, server *udt.Conn) {
		granted := s.server.SocketInfo().ReadBuffer
		if b := server.SocketBuffers(); b != (udt.SocketBuffers{Read: granted, WantRead: 1 << 30, WantWrite: 1 << 29}) || granted == 0 {
			t.Errorf("%+v", b)
		}
		if b := client.SocketBuffers(); b.WantRead != udt.DefaultSocketBuffer || b.WantWrite != udt.DefaultSocketBuffer {
			t.Errorf("%+v", b)
		}
	})
}
