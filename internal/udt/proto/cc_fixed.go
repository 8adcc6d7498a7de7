package proto

// Fixed sends at one rate whatever happens: for links whose capacity is
// known and not shared.
type Fixed struct {
	packets float64
	bits    float64
}

// NewFixed returns a controller that sends bits each second, headers
// included.
func NewFixed(bits float64) *Fixed { return &Fixed{bits: bits} }

// Name implements Controller.
func (f *Fixed) Name() string { return "fixed" }

// Init implements Controller.
func (f *Fixed) Init(s *PathState) { f.packets = f.bits / 8 / float64(s.PacketSize) }

// OnACK implements Controller.
func (f *Fixed) OnACK(*PathState, int) {}

// OnLoss implements Controller.
func (f *Fixed) OnLoss(*PathState, int64) {}

// OnTimeout implements Controller.
func (f *Fixed) OnTimeout(*PathState) {}

// Rate implements Controller.
func (f *Fixed) Rate() float64 { return f.packets }

// Window implements Controller.
func (f *Fixed) Window() float64 { return 1 << 30 }
