package transfer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTortureJournals damages a journal at every byte, cuts it off there, and goes on with what it is beside: that is no harm,
// and no reason to fail. So is damage to a part file, where that is to be verified. Each time less is kept.
func TestTortureJournals(t *testing.T) {
	run := newTorture(t, "journals and part files damaged", "JOURNALS", 60)
	list := tortures(t)
	c := list[slices.IndexFunc(list, func(c *tortured) bool { return c.name == "resume" })]
	whole := c.run(t.Context(), c.old, true).resumed
	if whole < minChunk {
		t.Fatalf("undamaged, %d bytes are kept", whole)
	}
	verified := *c
	verified.ro.Verify = true
	part, journal := c.left(t, ".larger.udtcp-part"), c.left(t, ".larger.udtcp-journal")

	var all []rotten
	for at := range journal.size {
		all = append(all, rotten{c, "journal damaged", journal, at, false}, rotten{c, "journal cut off", journal, at, true})
	}
	const ofPart = 40
	for i := range int64(ofPart) {
		all = append(all, rotten{&verified, "part file damaged", part, part.size * i / ofPart, false})
	}
	run.Cases = min(run.Cases, len(all))
	run.each(run.Cases, func(i int) {
		i = i * len(all) / run.Cases
		run.Runs.Add(1)
		r := all[i].c.run(t.Context(), all[i].done(rand.New(rand.NewPCG(run.Seed, uint64(i)))), true)
		err := all[i].c.ended(r)
		if err == nil && r.resumed >= whole {
			err = fmt.Errorf("%d bytes were kept, as many as without damage", r.resumed)
		}
		if err != nil {
			run.failed("%s at byte %d: %v", all[i].what, all[i].at, err)
		}
	})
}

// leftFile is a file on the disk before.
type leftFile struct {
	number int
	size   int64
}

func (c *tortured) left(t *testing.T, name string) leftFile {
	t.Helper()
	number, err := c.old.find(name)
	if err != nil {
		t.Fatal(err)
	}
	return leftFile{number, c.old.nodes[number].size}
}

// rotten is one byte changed, or a file cut off.
type rotten struct {
	c    *tortured
	what string
	file leftFile
	at   int64
	cut  bool
}

// done is the disk with the damage done.
func (m rotten) done(rng *rand.Rand) *disk {
	d := m.c.old.clone()
	if m.cut {
		d.do(step{kind: stepSize, node: m.file.number, size: m.at})
		return d.clone()
	}
	block := d.nodes[m.file.number].blocks[m.at/blockSize]
	d.do(d.writing(m.file.number, []byte{block[m.at%blockSize] ^ byte(1+rng.IntN(255))}, m.at)...)
	return d.clone()
}
