package cli

import (
	"time"

	"github.com/udtcp/udtcp/internal/udt"
)

// stats are a connection's counters, UDT's perfmon.
type stats = udt.Stats

// socketBuffers are the kernel's buffers for a connection, as they are and as they should be.
type socketBuffers = udt.SocketBuffers

func statRTT(s *stats) time.Duration { return time.Duration(s.MsRTT * float64(time.Millisecond)) }

// statLoss is the packets found lost in the interval, by the side that notices: the sender learns from the receiver's
// reports and its own timers, the receiver sees gaps.
func statLoss(s *stats, sends bool) int64 {
	if sends {
		return s.PktSndLoss
	}
	return s.PktRcvLoss
}

func statLossTotal(s *stats, sends bool) int64 {
	if sends {
		return s.PktSndLossTotal
	}
	return s.PktRcvLossTotal
}

// mergeStats is the counters of connections that work together: counts, rates and rooms add up, times and intervals are
// the mean.
func mergeStats(all []stats) stats {
	if len(all) == 1 {
		return all[0]
	}
	var m stats
	for i := range all {
		s := &all[i]
		m.MsTimestamp = max(m.MsTimestamp, s.MsTimestamp)

		m.PktSentTotal += s.PktSentTotal
		m.PktRecvTotal += s.PktRecvTotal
		m.PktSndLossTotal += s.PktSndLossTotal
		m.PktRcvLossTotal += s.PktRcvLossTotal
		m.PktRetransTotal += s.PktRetransTotal
		m.PktSentACKTotal += s.PktSentACKTotal
		m.PktRecvACKTotal += s.PktRecvACKTotal
		m.PktSentNAKTotal += s.PktSentNAKTotal
		m.PktRecvNAKTotal += s.PktRecvNAKTotal
		m.UsSndDurationTotal = max(m.UsSndDurationTotal, s.UsSndDurationTotal)

		m.PktSockDropTotal += s.PktSockDropTotal

		m.PktSent += s.PktSent
		m.PktRecv += s.PktRecv
		m.PktSndLoss += s.PktSndLoss
		m.PktRcvLoss += s.PktRcvLoss
		m.PktRetrans += s.PktRetrans
		m.PktSentACK += s.PktSentACK
		m.PktRecvACK += s.PktRecvACK
		m.PktSentNAK += s.PktSentNAK
		m.PktRecvNAK += s.PktRecvNAK
		m.UsSndDuration = max(m.UsSndDuration, s.UsSndDuration)
		m.PktSockDrop += s.PktSockDrop
		m.MbpsSendRate += s.MbpsSendRate
		m.MbpsRecvRate += s.MbpsRecvRate

		m.UsPktSndPeriod += s.UsPktSndPeriod / float64(len(all))
		m.PktFlowWindow += s.PktFlowWindow
		m.PktCongestionWindow += s.PktCongestionWindow
		m.PktFlightSize += s.PktFlightSize
		m.MsRTT += s.MsRTT / float64(len(all))
		m.MbpsBandwidth = max(m.MbpsBandwidth, s.MbpsBandwidth)
		m.ByteAvailSndBuf += s.ByteAvailSndBuf
		m.ByteAvailRcvBuf += s.ByteAvailRcvBuf
	}
	return m
}
