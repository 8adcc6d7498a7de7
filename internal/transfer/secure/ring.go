package secure

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	identityName = "identity"
	trustedName  = "trusted"
	maxKeyFile   = 1 << 20 // bytes of either
)

// Ring is the directory with a user's identity and the peers it trusts. The identity is a file that the user alone can
// read. The trusted peers are a public key a line with a comment behind it.
type Ring string

// IdentityPath and TrustedPath are where the files are.
func (r Ring) IdentityPath() string { return filepath.Join(string(r), identityName) }

// TrustedPath is the file of trusted peers.
func (r Ring) TrustedPath() string { return filepath.Join(string(r), trustedName) }

// Identity reads the user's identity. fs.ErrNotExist says that there is none yet.
func (r Ring) Identity() (Identity, error) {
	if err := r.checkDir(); err != nil {
		return Identity{}, err
	}
	return LoadIdentity(r.IdentityPath())
}

// EnsureIdentity reads the user's identity and makes one if there is none. Of several processes that do so at once one
// makes it, and all have the same.
func (r Ring) EnsureIdentity() (id Identity, made bool, err error) {
	id, err = r.Identity()
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return id, false, err
	}
	id = NewIdentity()
	err = r.create(identityName, fmt.Appendf(nil, "# udtcp identity: whoever reads this file can pass for you.\n# %s\n%s\n", id.Public(), id.Secret()))
	if errors.Is(err, fs.ErrExist) {
		id, err = r.Identity()
		return id, false, err
	}
	if err != nil {
		return Identity{}, false, ioError("make an identity", err)
	}
	return id, true, nil
}

// create makes a file with all its content at once, synced, for the user alone. fs.ErrExist says that it is there already.
func (r Ring) create(name string, content []byte) error {
	if err := os.MkdirAll(string(r), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(r), "."+name+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its other name is what counts
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(f.Name(), filepath.Join(string(r), name))
	}
	if err != nil {
		return err
	}
	return syncDir(string(r))
}

// LoadIdentity reads an identity from a file that nobody else can read. fs.ErrNotExist says that there is none.
func LoadIdentity(path string) (Identity, error) {
	b, err := readKeyFile(path, 0o077, "read", "chmod 600 ")
	if err != nil {
		return Identity{}, err
	}
	var id Identity
	found := false
	for n, line := range keyLines(b) {
		if found {
			return Identity{}, badLine(path, n, "there is a second key", "leave one")
		}
		if id, err = ParseIdentity(line); err != nil {
			return Identity{}, badLine(path, n, err.Error(), "put the file back, or remove it for a new identity")
		}
		found = true
	}
	if !found {
		return Identity{}, &Error{Kind: KindAuth, Msg: path + " has no key", Hint: "put the file back, or remove it for a new identity"}
	}
	return id, nil
}

// Trusted reads the public keys of the trusted peers; none if there is no such file.
func (r Ring) Trusted() (map[PublicKey]bool, error) {
	if err := r.checkDir(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	b, err := readKeyFile(r.TrustedPath(), 0o022, "write to", "chmod 600 ")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseTrusted(r.TrustedPath(), b)
}

func parseTrusted(path string, b []byte) (map[PublicKey]bool, error) {
	keys := make(map[PublicKey]bool)
	for n, line := range keyLines(b) {
		k, err := ParsePublicKey(strings.Fields(line)[0]) // the rest is a comment
		if err != nil {
			return nil, badLine(path, n, err.Error(), "correct or remove that line")
		}
		keys[k] = true
	}
	return keys, nil
}

// Trust adds a peer, with a comment for people. It says whether that is new.
func (r Ring) Trust(k PublicKey, comment string) (added bool, err error) {
	if strings.ContainsFunc(comment, func(c rune) bool { return !unicode.IsPrint(c) }) || !utf8.ValidString(comment) {
		return false, &Error{Kind: KindAuth, Msg: "a comment is one line of printable characters"}
	}
	if err := os.MkdirAll(string(r), 0o700); err != nil {
		return false, ioError("trust that key", err)
	}
	keys, err := r.Trusted()
	if err != nil || keys[k] {
		return false, err
	}
	// One write at the end of the file: two at once both last.
	f, err := os.OpenFile(r.TrustedPath(), os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return false, ioError("trust that key", err)
	}
	line := strings.TrimRight(k.String()+" "+comment, " ") + "\n"
	whole, err := endsLine(f)
	if err == nil {
		if !whole {
			line = "\n" + line
		}
		_, err = f.WriteString(line)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, ioError("trust that key", err)
	}
	return true, syncDir(string(r))
}

// endsLine says whether a file is empty or ends with the end of a line, as one that was edited may not.
func endsLine(f *os.File) (bool, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return true, err
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], size-1)
	return last[0] == '\n', err
}

// keyLines gives the lines that are neither empty nor a comment, by number.
func keyLines(b []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(string(b)) {
			n++
			line = strings.TrimSpace(line)
			if line != "" && line[0] != '#' && !yield(n, line) {
				return
			}
		}
	}
}

// readKeyFile reads a file unless its mode has any of the bits that let others do what they should not.
func readKeyFile(path string, bits fs.FileMode, what, remedy string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Kind: KindAuth, Msg: "cannot open " + path + ": " + reason(err), Err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, &Error{Kind: KindAuth, Msg: "cannot read " + path + ": " + reason(err), Err: err}
	}
	if err := checkMode(path, info, bits, what, remedy); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, &Error{Kind: KindAuth, Msg: "cannot read " + path + ": " + reason(err), Err: err}
	}
	if len(b) > maxKeyFile {
		return nil, &Error{Kind: KindAuth, Msg: path + " is too long to be what it should be"}
	}
	return b, nil
}

// checkDir refuses a directory in which others can put files of theirs.
func (r Ring) checkDir() error {
	info, err := os.Stat(string(r))
	if err != nil {
		return &Error{Kind: KindAuth, Msg: "cannot read " + string(r) + ": " + reason(err), Err: err}
	}
	return checkMode(string(r), info, 0o022, "write to", "chmod 700 ")
}

func checkMode(path string, info fs.FileInfo, bits fs.FileMode, what, remedy string) error {
	if ofOthers(info) {
		return &Error{Kind: KindAuth, Msg: path + " belongs to another user, who can change it", Hint: "chown it to the user who runs udtcp, or use another"}
	}
	if mode := info.Mode().Perm(); modesCount && mode&bits != 0 {
		return &Error{
			Kind: KindAuth, Msg: fmt.Sprintf("others can %s %s (mode %04o)", what, path, mode), Hint: remedy + path,
		}
	}
	return nil
}

func badLine(path string, n int, msg, hint string) *Error {
	return &Error{Kind: KindAuth, Msg: fmt.Sprintf("%s, line %d: %s", path, n, msg), Hint: hint}
}

func ioError(what string, err error) *Error {
	return &Error{Kind: KindLocalIO, Msg: "cannot " + what + ": " + err.Error(), Hint: "see to it, or set UDTCP_IDENTITY=$(udtcp key new) at both ends", Err: err}
}

// reason is an error without the path, which the message has already.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
