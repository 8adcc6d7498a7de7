// Package cli is the udtcp command: its flags, what it prints, and the statuses it exits with. It joins the transfer
// layer to UDT and holds no logic of either.
//
// # How a run goes
//
// Main builds the commands (root.go) and runs one under a context that the first SIGINT or SIGTERM ends (signal.go).
// Each command lives in a file of its own as newXCommand, an options struct and runX(ctx, app, options):
//
//	send, recv   files, directories and streams by package transfer (session.go runs one transfer over one link;
//	             compat.go is --compat sendfile)
//	cat          standard input and output joined to a bare UDT stream (catinput.go waits for input and link at once),
//	             or to messages (catmessage.go)
//	perf         memory to memory (perf.go the command, perfwire.go what is said, perfrun.go who says it,
//	             perfreport.go what is shown; perfmeet.go both ends dial; emulate.go both ends here, over a simulated link)
//	key          this user's identity and the peers it trusts
//	version      what was built
//
// Flags come from the command line, then from UDTCP_ variables (envvars.go), then from defaults. endpoint (listen.go)
// settles who dials; dial.go makes the connection, also where both ends dial (rendezvous.go), and serve.go waits for one,
// or with -k for any number. secure.go stands between them and the network where connections are encrypted: no link
// passes it whose other end is not known; identity.go says who is.
//
// # What comes out
//
// Every error ends as a verdict (exit.go): a status, one line, and the next step where there is one. People read it on
// standard error through console, programs as the event "end" through emitter (events.go). While data moves, a reporter
// (progress.go) samples counters and shows them as a bar, as lines or as events. Payload alone goes to standard output.
// Strings that came from the peer are quoted where they enter a message, and every line for people passes printable once
// more on its way out.
//
// # The seam
//
// link.go is all that the commands know of the engine; link_udt.go fills it. Tests put connections in memory there, and
// an Env in place of the process, so that whole commands run inside the test. The scripts in testdata/script run real
// processes over real sockets, one script for each promise.
package cli
