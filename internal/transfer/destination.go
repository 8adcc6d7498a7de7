package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Destination reads the argument of an -o flag: "" is the current directory, "-" standard output (stdout is true), an
// existing directory or a path that ends in a separator a directory, anything else a file.
func Destination(arg string) (dir, file string, stdout bool) {
	switch arg {
	case "":
		return ".", "", false
	case "-":
		return "", "", true
	}
	if os.IsPathSeparator(arg[len(arg)-1]) {
		return arg, "", false
	}
	if info, err := os.Stat(arg); err == nil && info.IsDir() {
		return arg, "", false
	}
	return "", arg, false
}

// CheckDestination is the part of Recv that needs no connection: the destination can be written, and a File that exists
// may be replaced. Call it before listening. It changes nothing.
func CheckDestination(o RecvOptions) error {
	if err := checkDestinationOptions(o); err != nil {
		return err
	}
	if _, err := checkDigest(o.Digest); err != nil {
		return err
	}
	if o.Stdout != nil {
		return nil
	}
	dir := o.Dir
	if o.File != "" {
		dir = filepath.Dir(filepath.Clean(o.File))
		if err := checkFile(o.File, o.Overwrite); err != nil {
			return err
		}
	}
	return checkWritable(dir, o.Dir != "")
}

// checkFile tells whether a file may be put at path, as things stand.
func checkFile(path string, replace bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return localIO("look at", path, "", err)
	case info.IsDir():
		return refused(path, "", "it is a directory", "end it in a slash to receive into it")
	case !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink:
		return refused(path, "", "it is not a plain file", "use -o - to write to a pipe or device")
	case !replace:
		return refused(path, "", "it exists", "give --overwrite to replace it, or another destination")
	}
	return nil
}

// checkWritable tells whether files can be made in a directory, or, if it may be missing, whether that could be made.
func checkWritable(dir string, mayMiss bool) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) && mayMiss {
		if up := filepath.Dir(filepath.Clean(dir)); up != dir {
			return checkWritable(up, true)
		}
	}
	if err != nil {
		return localIO("receive into", dir, "", err)
	}
	if !info.IsDir() {
		return &Error{
			Kind: KindLocalIO, Op: "receive into", Path: dir, Msg: "it is not a directory", Hint: "check the path",
			Err: fs.ErrInvalid,
		}
	}
	if err := writable(dir); err != nil {
		return localIO("receive into", dir, "", err)
	}
	return nil
}

// checkDestinationOptions finds options that contradict each other.
func checkDestinationOptions(o RecvOptions) error {
	n := 0
	for _, set := range []bool{o.Dir != "", o.File != "", o.Stdout != nil} {
		if set {
			n++
		}
	}
	if n != 1 {
		return usage("exactly one destination is needed: a directory, a file or standard output", "give one -o")
	}
	if o.MaxSize < 0 {
		return usage("the largest size is negative", "give --max-size a positive size, or leave it out")
	}
	return nil
}

// checkDigest knows the algorithms.
func checkDigest(d Digest) (Digest, error) {
	switch d {
	case "":
		return BLAKE3, nil
	case BLAKE3, SHA256:
		return d, nil
	}
	return BLAKE3, usage("the digest "+Quote(string(d))+" is not known", "choose blake3 or sha256")
}

func usage(msg, hint string) *Error { return &Error{Kind: KindUsage, Msg: msg, Hint: hint} }

// makeDir makes a directory and those above it, durably: a receipt for what is in it must survive a crash.
func makeDir(dir string) error {
	dir = filepath.Clean(dir)
	err := os.Mkdir(dir, 0o777)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o777)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // if it is no directory, opening it will say so
	}
	if err != nil {
		return err
	}
	up, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return nil //nolint:nilerr // one may make directories where one may not read; then the system has to do
	}
	return errors.Join(syncDir(up), up.Close())
}
