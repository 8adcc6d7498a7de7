package udpio

// DescriptorReady is a descriptor with which something can be done at once.
type DescriptorReady struct {
	ID  uint64 // that it was added with
	In  bool   // reading won't block
	Out bool   // writing won't block
	Err bool   // it has failed or its other end is closed; the others are set, too
}
