package transfer

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// datasync makes a file's content and size durable.
func datasync(f *os.File) error {
	return os.NewSyscallError("fdatasync", control(f, syscall.Fdatasync))
}

// sysSyncfs is the number of syncfs(2), which package syscall does not have.
var sysSyncfs = map[string]uintptr{
	"386": 344, "amd64": 306, "arm": 373, "arm64": 267, "loong64": 267, "ppc64": 348, "ppc64le": 348, "riscv64": 267,
	"s390x": 338,
}[runtime.GOARCH]

// Magic numbers of file systems whose syncfs is known to write everything and to report what failed (statfs(2)).
var syncedWhole = map[int64]bool{
	0xef53:     true, // ext4
	0x58465342: true, // XFS
	0x9123683e: true, // Btrfs
	0xf2f52010: true, // F2FS
	0x01021994: true, // tmpfs, which has nothing to write
}

// wholeSync tells whether syncfs on d's file system may stand for an fsync of each file. Before Linux 5.8 it hid errors.
func wholeSync(d *os.File) bool {
	var st syscall.Statfs_t
	err := control(d, func(fd int) error { return syscall.Fstatfs(fd, &st) })
	return err == nil && sysSyncfs != 0 && syncedWhole[int64(st.Type)&0xffffffff] && kernelAtLeast(5, 8)
}

func syncFileSystem(d *os.File) error {
	return os.NewSyscallError("syncfs", control(d, func(fd int) error {
		if _, _, errno := syscall.Syscall(sysSyncfs, uintptr(fd), 0, 0); errno != 0 {
			return errno
		}
		return nil
	}))
}

// sysRenameat2 is the number of renameat2(2), which package syscall does not have.
var sysRenameat2 = map[string]uintptr{
	"386": 353, "amd64": 316, "arm": 382, "arm64": 276, "loong64": 276, "ppc64": 357, "ppc64le": 357, "riscv64": 276,
	"s390x": 347,
}[runtime.GOARCH]

// renameNew renames a file in a directory unless the new name is taken. It is fs.ErrExist then, errors.ErrUnsupported
// where the kernel or the file system does not know how.
func renameNew(d *os.File, from, to string) error {
	if sysRenameat2 == 0 {
		return errors.ErrUnsupported
	}
	oldName, err := syscall.BytePtrFromString(from)
	if err != nil {
		return err
	}
	newName, err := syscall.BytePtrFromString(to)
	if err != nil {
		return err
	}
	const noReplace = 1 // RENAME_NOREPLACE
	err = control(d, func(fd int) error {
		if _, _, errno := syscall.Syscall6(sysRenameat2, uintptr(fd), uintptr(unsafe.Pointer(oldName)),
			uintptr(fd), uintptr(unsafe.Pointer(newName)), noReplace, 0); errno != 0 {
			return errno
		}
		return nil
	})
	if errors.Is(err, syscall.EINVAL) { // NFS, for one
		return errors.ErrUnsupported
	}
	return os.NewSyscallError("renameat2", err)
}

func kernelAtLeast(major, minor int) bool {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return false
	}
	first, rest, _ := strings.Cut(string(b), ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	have, err := strconv.Atoi(first)
	if err != nil || have != major {
		return err == nil && have > major
	}
	have, err = strconv.Atoi(second)
	return err == nil && have >= minor
}

// umask is the process's file mode mask. The proc file tells it without setting it, which would race with other
// threads that make files.
func umask() os.FileMode {
	const key = "Umask:"
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fallbackUmask
	}
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte(key)); ok {
			if m, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 8, 32); err == nil {
				return os.FileMode(m) & os.ModePerm
			}
		}
	}
	return fallbackUmask
}
