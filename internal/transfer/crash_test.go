package transfer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// What a crash may leave of a disk. The model is the one of Pillai et al., "All File Systems Are Not Created Equal" (OSDI
// 2014), with POSIX's fsync and no more as what orders anything; Mohan et al., "Finding Crash-Consistency Bugs with
// Bounded Black-Box Crash Testing" (OSDI 2018) found real file systems to use that freedom:
//
//   - a call falls apart into steps: each block of a write, the size it gives the file, each name
//   - fsync of a file makes its content, size, mode and time durable, fdatasync its content and size, fsync of a directory
//     the names in it, syncfs everything; fsync of a file does nothing for its name, nor that of a directory for those
//     of the directories above
//   - of what was not made durable each step survives or is lost on its own, in any combination
//   - a rename is one step: both names or neither
//   - a block that a file's size covers and that was never written has zeros or garbage
//
// Some of the states are such as a journalling file system leaves: of names, sizes and modes what came before some moment,
// and content as it happens.

// recording is a run on a disk.
type recording struct {
	before *disk // durable
	steps  []step
	calls  []int // of the steps, those that a call begins with, and their end
}

func callsOf(steps []step) []int {
	var calls []int
	for i, s := range steps {
		if s.first {
			calls = append(calls, i)
		}
	}
	return append(calls, len(steps))
}

// moment chooses a number of steps after which there is a crash: as often between two calls as anywhere, since most steps
// are the blocks of a few large writes.
func (r *recording) moment(rng *rand.Rand) int {
	if rng.IntN(2) == 0 {
		return r.calls[rng.IntN(len(r.calls))]
	}
	return rng.IntN(len(r.steps) + 1)
}

// prefix is the disk after n steps, none of them lost: what remains when the process alone dies.
func (r *recording) prefix(n int) *disk {
	return r.replay(n, func(int, step) fate { return survives })
}

// fate is what a crash does to a step.
type fate int

const (
	survives fate = iota
	forgotten
	garbled // a lost write to a block that is new: garbage
)

// crash is the disk after a crash with n steps done, as rng has it, and what was lost, for people.
func (r *recording) crash(n int, rng *rand.Rand) (*disk, string) {
	durable := r.durable(n)
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[rng.IntN(5)]
	journal := -1 // all steps but writes survive up to here
	if rng.IntN(3) == 0 {
		journal = rng.IntN(n + 1)
	}
	garbage := rng.IntN(2) == 0
	var losses []string
	after := r.replay(n, func(i int, s step) fate {
		switch {
		case durable[i]:
			return survives
		case journal >= 0 && s.kind != stepWrite && i < journal, rng.Float64() < keep && (journal < 0 || s.kind == stepWrite):
			return survives
		}
		losses = append(losses, s.String())
		if s.kind == stepWrite && garbage {
			return garbled
		}
		return forgotten
	})
	return after, fmt.Sprintf("after %d steps of %d, lost: %s", n, len(r.steps), summary(losses))
}

// durable tells which of the first n steps were synced.
func (r *recording) durable(n int) []bool {
	var all bool
	files, contents := map[int]bool{}, map[int]bool{}
	durable := make([]bool, n)
	for i, s := range slices.Backward(r.steps[:n]) {
		switch s.kind {
		case stepSyncAll:
			all = true
		case stepSync:
			files[s.node] = true
		case stepDatasync:
			contents[s.node] = true
		case stepWrite, stepSize:
			durable[i] = all || files[s.node] || contents[s.node]
		default:
			durable[i] = all || files[s.node]
		}
	}
	return durable
}

// replay makes the first n steps again, as their fates are.
func (r *recording) replay(n int, fateOf func(i int, s step) fate) *disk {
	d := r.before.clone()
	d.quiet = true
	for i, s := range r.steps[:n] {
		if s.born {
			for len(d.nodes) <= s.child {
				d.nodes = append(d.nodes, &node{})
			}
			n := &node{perm: s.perm, target: s.target}
			if s.dir {
				n.names = map[string]int{}
			}
			d.nodes[s.child] = n
		}
		switch fateOf(i, s) {
		case survives:
			d.apply(s)
		case garbled:
			if blocks := d.nodes[s.node].blocks; s.block >= len(blocks) || blocks[s.block] == nil {
				d.apply(step{kind: stepWrite, node: s.node, block: s.block, data: garbageBlock})
			}
		case forgotten:
		}
	}
	d.quiet = false
	return d
}

var garbageBlock = []byte(strings.Repeat("\xa5?", blockSize/2))

func (s step) String() string {
	switch s.kind {
	case stepWrite:
		return fmt.Sprintf("block %d of #%d", s.block, s.node)
	case stepSize:
		return fmt.Sprintf("size %d of #%d", s.size, s.node)
	case stepPerm:
		return fmt.Sprintf("mode %v of #%d", s.perm, s.node)
	case stepTime:
		return fmt.Sprintf("time of #%d", s.node)
	case stepLink:
		return fmt.Sprintf("name %q of #%d", s.name, s.child)
	case stepUnlink:
		return fmt.Sprintf("removal of %q", s.name)
	case stepRename:
		return fmt.Sprintf("renaming of #%d from %q to %q", s.child, s.name, s.to)
	}
	return fmt.Sprintf("sync of #%d", s.node)
}

// summary is some of a list.
func summary(list []string) string {
	const most = 12
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}
