package udpio

import "testing"

// BenchmarkRun sends runs of 44 packets over loopback and reads them, one after the other.
func BenchmarkRun(b *testing.B) {
	for _, m := range modes {
		b.Run(m.name, func(b *testing.B) {
			for _, v := range m.off {
				b.Setenv(v, "1")
			}
			from, err := Listen(loop4, Config{})
			if err != nil {
				b.Fatal(err)
			}
			defer from.Close()
			to, err := Listen(loop4, Config{ReadBuffer: 4 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer to.Close()

			out := []Message{{Addr: to.LocalAddr(), Buf: run(44, 1472, 1472), Segment: 1472}}
			in := newInbox(to, 64).ms
			b.SetBytes(int64(len(out[0].Buf)))
			b.ReportAllocs()
			for b.Loop() {
				if err := from.WriteBatch(out); err != nil {
					b.Fatal(err)
				}
				for left := 44; left > 0; {
					n, err := to.ReadBatch(in)
					if err != nil {
						b.Fatal(err)
					}
					for i := range in[:n] {
						left -= in[i].Datagrams()
					}
				}
			}
		})
	}
}
