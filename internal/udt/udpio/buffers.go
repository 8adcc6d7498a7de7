package udpio

// granted is the size in bytes of the socket buffers as the kernel gave them, 0 unknown.
type granted struct{ read, write int }
