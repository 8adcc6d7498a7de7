package cli

import "strings"

// bareListen is what pflag hands to Set for a --listen without a value; it also is what the help shows as the value.
const bareListen = "[HOST]:PORT"

// listenValue is the value of --listen, which may have none.
type listenValue struct {
	set  bool
	bare bool // no address of its own
	addr address
}

func (v *listenValue) String() string {
	if !v.set || v.bare {
		return ""
	}
	return v.addr.String()
}

func (v *listenValue) Type() string { return "" }

func (v *listenValue) Set(s string) error {
	if s == bareListen || s == "" || s == "true" { // the latter two: UDTCP_LISTEN as a switch
		*v = listenValue{set: true, bare: true}
		return nil
	}
	a, err := parseLocal(s, defaultPort)
	if err != nil {
		return err
	}
	*v = listenValue{set: true, addr: a}
	return nil
}

// joinListen lets "--listen :7000" mean "--listen=:7000": a flag with an optional value takes no word of its own
// accord. Only a word of the shape [HOST]:PORT is joined.
func joinListen(args []string) []string {
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...)
		}
		if args[i] == "--listen" && i+1 < len(args) && looksLikeListen(args[i+1]) {
			out = append(out, "--listen="+args[i+1])
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// endpoint is which way a connection comes about: by listening at local or by dialling remote.
type endpoint struct {
	listen bool
	local  address
	remote address
}

// endpoint finds the address among the positional arguments and gives back the others.
//
// Listening, a bare --listen takes its address from the arguments: a lone one where the command takes no paths, else the
// first if it has the shape [HOST]:PORT. Dialling, the first argument is the address.
func (o *commonOptions) endpoint(args []string, takesPaths bool) (endpoint, []string, error) {
	if !o.listen.set {
		if len(args) == 0 {
			return endpoint{}, nil, usageError("where to? give HOST:PORT to dial, or --listen to wait for the peer")
		}
		remote, err := parseRemote(args[0])
		if err != nil {
			return endpoint{}, nil, usageError("%s: %w", quote(args[0]), err)
		}
		rest := args[1:]
		if !takesPaths && len(rest) > 0 {
			return endpoint{}, nil, usageError("one address is enough: what is %s for?", quote(rest[0]))
		}
		return endpoint{remote: remote}, rest, nil
	}
	ep := endpoint{listen: true, local: o.listen.addr}
	if o.listen.bare {
		ep.local = address{port: defaultPort}
		if len(args) > 0 && (looksLikeListen(args[0]) || !takesPaths) {
			a, err := parseLocal(args[0], defaultPort)
			if err != nil {
				return endpoint{}, nil, usageError("--listen %s: %w", quote(args[0]), err)
			}
			ep.local, args = a, args[1:]
			if o.bind != "" {
				return endpoint{}, nil, usageError("--listen has its address already; leave out --bind")
			}
		} else if o.bind != "" {
			a, err := parseLocal(o.bind, defaultPort)
			if err != nil {
				return endpoint{}, nil, usageError("--bind %s: %w", quote(o.bind), err)
			}
			ep.local = a
		}
	} else if o.bind != "" {
		return endpoint{}, nil, usageError("--listen has its address already; leave out --bind")
	}
	if !takesPaths && len(args) > 0 {
		return endpoint{}, nil, usageError("%s is too much: --listen waits at %s and dials nobody", quote(strings.Join(args, " ")), ep.local)
	}
	return ep, args, nil
}
