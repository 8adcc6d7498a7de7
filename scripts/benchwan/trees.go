//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/udtcp/udtcp/internal/udt/simnet"
)

const (
	smallFile = 10 * kB // bytes of each file of a tree
	perDir    = 500     // files in a directory
)

// runTrees moves small files beside one of as many bytes: seconds for both, and what the tree takes as a multiple of the
// one file and of the bytes alone.
func runTrees(r *runner, s suite) error {
	heading(s, "tree s", "one file s", "of the file", "of the bytes")
	for _, l := range s.links {
		if !r.wanted(l.name) {
			continue
		}
		size := r.size(l)
		path, err := simnet.ParsePath(l.path)
		if err != nil {
			return err
		}
		for _, cc := range r.ours {
			tree, err := r.treeOver(s.name, l, cc, size)
			if err != nil {
				return err
			}
			file, _, err := r.transferOver(s.name, l, cc)
			if err != nil {
				return err
			}
			alone := float64(size) * 8 / capacity(path.There)
			if tree.Error == "" {
				tree.Measures = map[string]float64{"of the file": tree.Seconds / file.Seconds, "of the bytes": tree.Seconds / alone}
			}
			if err := errors.Join(r.keep(tree), r.keep(file)); err != nil {
				return err
			}
			fmt.Printf("%-24s%15s%15s%15s%15s\n", l.name+" "+cc, seconds(tree), seconds(file),
				figure("%.2f", tree.Measures["of the file"]), figure("%.2f", tree.Measures["of the bytes"]))
		}
	}
	return nil
}

// seconds shows how long a run took, ">" where it did not finish.
func seconds(res *result) string {
	switch {
	case res.Error != "":
		return "failed"
	case !res.Finished:
		return fmt.Sprintf(">%.2f", res.Seconds)
	}
	return fmt.Sprintf("%.2f", res.Seconds)
}

// treeOver sends a tree of so many bytes over a link of its own.
func (r *runner) treeOver(suiteName string, l link, peer string, size int64) (*result, error) {
	source, err := r.tree(size)
	if err != nil {
		return nil, err
	}
	named := l
	named.name += "-tree"
	res, _, err := r.send(suiteName, named, peer, source, size)
	return res, errors.Join(err, r.removeFiles(filepath.Base(source)))
}

// tree makes a directory of files with so many bytes together.
func (r *runner) tree(size int64) (string, error) {
	top := filepath.Join(r.work, fmt.Sprintf("tree-%d", size))
	random := rand.NewChaCha8([32]byte{1})
	block := make([]byte, smallFile)
	for i := 0; size > 0; i++ {
		dir := filepath.Join(top, fmt.Sprint(i/perDir))
		if i%perDir == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return "", err
			}
		}
		block = block[:min(size, smallFile)]
		_, _ = random.Read(block) // never fails
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), block, 0o644); err != nil {
			return "", err
		}
		size -= int64(len(block))
	}
	return top, nil
}
