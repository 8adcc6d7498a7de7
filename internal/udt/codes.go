package udt

import "strconv"

// Code is one of UDT's error codes: a thousand times the major code plus the
// minor. Every *Error has one, and errors.Is finds it there:
//
//	if errors.Is(err, udt.ECONNREJ) { … }
type Code int

// UDT's codes, by libudt's names. Those that this engine never gives say so.
const (
	SUCCESS Code = 0 // not given: no error is nil

	ECONNSETUP Code = 1000 // connection set-up failed or was given up
	ENOSERVER  Code = 1001 // no answer
	ECONNREJ   Code = 1002 // refused
	ESOCKFAIL  Code = 1003 // no UDP socket to be had
	ESECFAIL   Code = 1004 // the answer did not fit the request

	ECONNFAIL Code = 2000 // not given
	ECONNLOST Code = 2001 // the connection broke, or the peer has closed it
	ENOCONN   Code = 2002 // not given: a Conn is connected from the start

	ERESOURCE Code = 3000 // no epoll instance to be had
	ETHREAD   Code = 3001 // not given
	ENOBUF    Code = 3002 // not given

	EFILE     Code = 4000 // a file could not be opened or looked at
	EINVRDOFF Code = 4001 // a read offset that the file has not
	ERDPERM   Code = 4002 // reading a file failed, or it was too short
	EINVWROFF Code = 4003 // a write offset that cannot be
	EWRPERM   Code = 4004 // writing a file failed

	EINVOP       Code = 5000 // a Poller of this system can't wait for descriptors
	EBOUNDSOCK   Code = 5001 // an option that is for the time before a UDP socket is bound
	ECONNSOCK    Code = 5002 // an option that is for the time before a connection is made
	EINVPARAM    Code = 5003 // bad parameters
	EINVSOCK     Code = 5004 // closed here
	EUNBOUNDSOCK Code = 5005 // not given: an Endpoint is bound from the start
	ENOLISTEN    Code = 5006 // the listener is closed
	ERDVNOSERV   Code = 5007 // a listener is in the way of a rendezvous, here or there
	ERDVUNBOUND  Code = 5008 // a rendezvous needs a local port
	ESTREAMILL   Code = 5009 // not for streams
	EDGRAMILL    Code = 5010 // not for messages
	EDUPLISTEN   Code = 5011 // somebody listens there already
	ELARGEMSG    Code = 5012 // a message too large
	EINVPOLLID   Code = 5013 // the poller is closed

	EASYNCFAIL Code = 6000 // the context of a wait ended
	EASYNCSND  Code = 6001 // no room to write at once
	EASYNCRCV  Code = 6002 // nothing to read or accept at once
	ETIMEOUT   Code = 6003 // a deadline passed

	EPEERERR Code = 7000 // the peer reported an error
	EUNKNOWN Code = -1   // not given
)

// Error returns libudt's text.
func (c Code) Error() string {
	if text, ok := codeTexts[c]; ok {
		return text
	}
	return "UDT error " + strconv.Itoa(int(c))
}

const (
	setupText = "Connection setup failure"
	fileText  = "File system failure"
	opText    = "Operation not supported"
	asyncText = "Non-blocking call failure"
)

var codeTexts = map[Code]string{
	SUCCESS: "Success",

	ECONNSETUP: setupText,
	ENOSERVER:  setupText + ": connection time out",
	ECONNREJ:   setupText + ": connection rejected",
	ESOCKFAIL:  setupText + ": unable to create/configure UDP socket",
	ESECFAIL:   setupText + ": abort for security reasons",

	ECONNFAIL: "Connection failure", // libudt has none
	ECONNLOST: "Connection was broken",
	ENOCONN:   "Connection does not exist",

	ERESOURCE: "System resource failure",
	ETHREAD:   "System resource failure: unable to create new threads",
	ENOBUF:    "System resource failure: unable to allocate buffers",

	EFILE:     fileText,
	EINVRDOFF: fileText + ": cannot seek read position",
	ERDPERM:   fileText + ": failure in read",
	EINVWROFF: fileText + ": cannot seek write position",
	EWRPERM:   fileText + ": failure in write",

	EINVOP:       opText,
	EBOUNDSOCK:   opText + ": Cannot do this operation on a BOUND socket",
	ECONNSOCK:    opText + ": Cannot do this operation on a CONNECTED socket",
	EINVPARAM:    opText + ": Bad parameters",
	EINVSOCK:     opText + ": Invalid socket ID",
	EUNBOUNDSOCK: opText + ": Cannot do this operation on an UNBOUND socket",
	ENOLISTEN:    opText + ": Socket is not in listening state",
	ERDVNOSERV:   opText + ": Listen/accept is not supported in rendezvous connection setup",
	ERDVUNBOUND:  opText + ": Cannot call connect on UNBOUND socket in rendezvous connection setup",
	ESTREAMILL:   opText + ": This operation is not supported in SOCK_STREAM mode",
	EDGRAMILL:    opText + ": This operation is not supported in SOCK_DGRAM mode",
	EDUPLISTEN:   opText + ": Another socket is already listening on the same port",
	ELARGEMSG:    opText + ": Message is too large to send (it must be less than the UDT send buffer size)",
	EINVPOLLID:   opText + ": Invalid epoll ID",

	EASYNCFAIL: asyncText,
	EASYNCSND:  asyncText + ": no buffer available for sending",
	EASYNCRCV:  asyncText + ": no data available for reading",
	ETIMEOUT:   asyncText,

	EPEERERR: "The peer side has signalled an error",
	EUNKNOWN: "Unknown error",
}
