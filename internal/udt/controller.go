package udt

import "github.com/udtcp/udtcp/internal/udt/proto"

type (
	// Controller is a congestion control algorithm; Config.NewController plugs
	// it in. What it needs is here under the names of package proto.
	Controller = proto.Controller
	// PathState is what a Controller may know of the connection.
	PathState = proto.PathState
	// RateSample is what an ACK or NAK tells of the path's delivery rate.
	RateSample = proto.RateSample

	// CloseObserver is for a Controller that wants to know of the end.
	CloseObserver = proto.CloseObserver
	// SentObserver is for a Controller that wants to know of data sent.
	SentObserver = proto.SentObserver
	// ReceivedObserver is for a Controller that wants to know of data received.
	ReceivedObserver = proto.ReceivedObserver
	// LossObserver is for a Controller that wants to read whole NAKs.
	LossObserver = proto.LossObserver
	// IndexRange is a run of packets in a NAK.
	IndexRange = proto.IndexRange
	// UserObserver is for a Controller that takes user packets.
	UserObserver = proto.UserObserver
	// UserPacket is a user-defined control packet.
	UserPacket = proto.UserPacket
)
