package transfer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTortureJournals damages a journal at every byte, and cuts it off there, and goes on with what it is beside: the damage
// is no harm, and no reason to fail. So does it damage the part file, where that is to be verified.
func TestTortureJournals(t *testing.T) {
	run := newTorture(t, "journals and part files damaged", "", 0)
	list := tortures(t)
	c := list[slices.IndexFunc(list, func(c *tortured) bool { return c.name == "resume" })]
	const part, journal = ".larger.udtcp-part", ".larger.udtcp-journal"
	sizes := map[string]int{}
	for _, name := range []string{part, journal} {
		number, err := c.old.find(name)
		if err != nil {
			t.Fatal(err)
		}
		sizes[name] = int(c.old.nodes[number].size)
	}
	whole := c.run(t.Context(), c.old, true).resumed
	if whole < minChunk {
		t.Fatalf("undamaged, %d bytes are kept", whole)
	}
	verified := *c
	verified.ro.Verify = true
	damage := func(c *tortured, what string, change func(d *disk, rng *rand.Rand)) func(i int) {
		return func(i int) {
			d := c.old.clone()
			d.quiet = true
			change(d, rand.New(rand.NewPCG(run.Seed, uint64(i))))
			d.quiet = false
			run.Runs.Add(1)
			r := c.run(t.Context(), d, true)
			if err := c.ended(r); err != nil {
				run.failed("%s, case %d: %v", what, i, err)
			}
			if r.resumed >= whole {
				run.failed("%s, case %d: %d bytes were kept, as many as without damage", what, i, r.resumed)
			}
		}
	}
	flip := func(d *disk, name string, at int, rng *rand.Rand) {
		number, err := d.find(name)
		if err != nil {
			t.Error(err)
			return
		}
		b := make([]byte, 1)
		if _, err := d.nodes[number].read(b, int64(at)); err != nil {
			t.Error(err)
		}
		b[0] ^= byte(1 + rng.IntN(255))
		d.do(d.writing(number, b, int64(at))...)
	}
	const damagedParts = 40
	stride := 1
	if testing.Short() {
		stride = 10
	}
	run.Cases = 2*(sizes[journal]/stride) + damagedParts/stride
	for what, cut := range map[string]bool{"journal damaged": false, "journal cut off": true} {
		run.each(sizes[journal]/stride, func(i int) {
			at := i * stride
			damage(c, fmt.Sprint(what, " at byte ", at), func(d *disk, rng *rand.Rand) {
				if !cut {
					flip(d, journal, at, rng)
					return
				}
				number, err := d.find(journal)
				if err != nil {
					t.Error(err)
				}
				d.do(step{kind: stepSize, node: number, size: int64(at)})
			})(i)
		})
	}
	run.each(damagedParts/stride, damage(&verified, "part file damaged", func(d *disk, rng *rand.Rand) {
		flip(d, part, rng.IntN(sizes[part]), rng)
	}))
}
