package udt

import (
	"time"

	"github.com/udtcp/udtcp/internal/udt/proto"
)

// Counts are the counters of UDT's perfmon, in packets unless the name says
// otherwise.
type Counts struct {
	PktSent       int64 // data packets, retransmissions included
	PktRecv       int64 // data packets, duplicates included
	PktSndLoss    int64 // packets found lost as a sender, by NAK or timeout
	PktRcvLoss    int64 // packets reported missing, each once
	PktRetrans    int64
	PktSentACK    int64 // full ACKs
	PktRecvACK    int64 // full ACKs that acknowledged new data
	PktSentNAK    int64
	PktRecvNAK    int64
	UsSndDuration int64 // microseconds with data to deliver
	PktSockDrop   int64 // dropped by the kernel for lack of room in the UDP socket's buffer; all its connections'
}

// Stats is UDT's perfmon (TRACEINFO). The keys of its JSON form are udtcp's.
type Stats struct {
	MsTimestamp int64 `json:"ms_timestamp"` // age of the connection

	PktSentTotal       int64 `json:"pkt_sent_total"`
	PktRecvTotal       int64 `json:"pkt_recv_total"`
	PktSndLossTotal    int64 `json:"pkt_snd_loss_total"`
	PktRcvLossTotal    int64 `json:"pkt_rcv_loss_total"`
	PktRetransTotal    int64 `json:"pkt_retrans_total"`
	PktSentACKTotal    int64 `json:"pkt_sent_ack_total"`
	PktRecvACKTotal    int64 `json:"pkt_recv_ack_total"`
	PktSentNAKTotal    int64 `json:"pkt_sent_nak_total"`
	PktRecvNAKTotal    int64 `json:"pkt_recv_nak_total"`
	UsSndDurationTotal int64 `json:"us_snd_duration_total"`
	PktSockDropTotal   int64 `json:"pkt_sock_drop_total"` // see Counts

	// Since the counters were last cleared.
	PktSent       int64   `json:"pkt_sent"`
	PktRecv       int64   `json:"pkt_recv"`
	PktSndLoss    int64   `json:"pkt_snd_loss"`
	PktRcvLoss    int64   `json:"pkt_rcv_loss"`
	PktRetrans    int64   `json:"pkt_retrans"`
	PktSentACK    int64   `json:"pkt_sent_ack"`
	PktRecvACK    int64   `json:"pkt_recv_ack"`
	PktSentNAK    int64   `json:"pkt_sent_nak"`
	PktRecvNAK    int64   `json:"pkt_recv_nak"`
	UsSndDuration int64   `json:"us_snd_duration"`
	PktSockDrop   int64   `json:"pkt_sock_drop"`
	MbpsSendRate  float64 `json:"mbps_send_rate"` // payload, taking every packet for full
	MbpsRecvRate  float64 `json:"mbps_recv_rate"`

	// At the moment.
	UsPktSndPeriod      float64 `json:"us_pkt_snd_period"`     // 0: not paced
	PktFlowWindow       int     `json:"pkt_flow_window"`       // room at the receiver
	PktCongestionWindow int     `json:"pkt_congestion_window"` //
	PktFlightSize       int     `json:"pkt_flight_size"`
	MsRTT               float64 `json:"ms_rtt"`
	MbpsBandwidth       float64 `json:"mbps_bandwidth"` // estimated capacity of the path
	ByteAvailSndBuf     int     `json:"byte_avail_snd_buf"`
	ByteAvailRcvBuf     int     `json:"byte_avail_rcv_buf"`
}

// perfmon keeps what the last clearing saw.
type perfmon struct {
	cleared Counts
	at      time.Duration // age of the connection then
}

// snapshot makes a Stats and clears the interval's counters if asked to. drops
// are those of the socket since the connection began.
func (m *perfmon) snapshot(age time.Duration, p proto.Stats, drops int64, clear bool) Stats {
	total := Counts{
		PktSent: p.DataSent, PktRecv: p.DataReceived,
		PktSndLoss: p.SendLoss, PktRcvLoss: p.ReceiveLoss, PktRetrans: p.Retransmitted,
		PktSentACK: p.ACKSent, PktRecvACK: p.ACKReceived,
		PktSentNAK: p.NAKSent, PktRecvNAK: p.NAKReceived,
		UsSndDuration: p.SendDuration.Microseconds(), PktSockDrop: drops,
	}
	was := m.cleared
	s := Stats{
		MsTimestamp:  age.Milliseconds(),
		PktSentTotal: total.PktSent, PktSent: total.PktSent - was.PktSent,
		PktRecvTotal: total.PktRecv, PktRecv: total.PktRecv - was.PktRecv,
		PktSndLossTotal: total.PktSndLoss, PktSndLoss: total.PktSndLoss - was.PktSndLoss,
		PktRcvLossTotal: total.PktRcvLoss, PktRcvLoss: total.PktRcvLoss - was.PktRcvLoss,
		PktRetransTotal: total.PktRetrans, PktRetrans: total.PktRetrans - was.PktRetrans,
		PktSentACKTotal: total.PktSentACK, PktSentACK: total.PktSentACK - was.PktSentACK,
		PktRecvACKTotal: total.PktRecvACK, PktRecvACK: total.PktRecvACK - was.PktRecvACK,
		PktSentNAKTotal: total.PktSentNAK, PktSentNAK: total.PktSentNAK - was.PktSentNAK,
		PktRecvNAKTotal: total.PktRecvNAK, PktRecvNAK: total.PktRecvNAK - was.PktRecvNAK,
		UsSndDurationTotal: total.UsSndDuration, UsSndDuration: total.UsSndDuration - was.UsSndDuration,
		PktSockDropTotal: total.PktSockDrop, PktSockDrop: total.PktSockDrop - was.PktSockDrop,

		UsPktSndPeriod:      float64(p.Period) / float64(time.Microsecond),
		PktFlowWindow:       p.FlowWindow,
		PktCongestionWindow: p.CongestionWindow,
		PktFlightSize:       p.InFlight,
		MsRTT:               float64(p.RTT) / float64(time.Millisecond),
		MbpsBandwidth:       p.Capacity * float64(p.Payload) * 8 / 1e6,
		ByteAvailSndBuf:     p.SendFree * p.MSS,
		ByteAvailRcvBuf:     p.ReceiveFree * p.MSS,
	}
	if span := age - m.at; span > 0 {
		bits := float64(p.Payload) * 8 / 1e6
		s.MbpsSendRate = float64(s.PktSent) * bits / span.Seconds()
		s.MbpsRecvRate = float64(s.PktRecv) * bits / span.Seconds()
	}
	if clear {
		m.cleared, m.at = total, age
	}
	return s
}

// SocketBuffers are the kernel's buffers of a connection's UDP socket, in
// bytes: as they are, 0 if unknown, and as Config wants them.
type SocketBuffers struct {
	Read, Write         int
	WantRead, WantWrite int
}
