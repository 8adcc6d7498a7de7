package promise

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// Run counts what the test of one kind of fault has done. make torture says how much that shall be, by TORTURE_name for
// each kind's number of cases and TORTURE_SEED, and prints the counts in a table when all is over.
type Run struct {
	What     string
	Seed     uint64
	Cases    int          // faults to be made
	Runs     atomic.Int64 // transfers that were run for them
	Failures atomic.Int64 // promises broken
}

// NewRun is a run of as many cases as TORTURE_name says, or else few; without a name their number is not for choice.
func NewRun(what, name string, few int) (*Run, error) {
	r := &Run{What: what, Cases: few, Seed: 1}
	if s := os.Getenv("TORTURE_" + name); name != "" && s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("TORTURE_%s is %q, want a number of cases", name, s)
		}
		r.Cases = n
	}
	if s := os.Getenv("TORTURE_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("TORTURE_SEED is %q, want a number", s)
		}
		r.Seed = n
	}
	return r, nil
}

// Row is a run in the table.
type Row struct {
	What     string `json:"what"`
	Cases    int    `json:"cases"`
	Runs     int64  `json:"runs"`
	Failures int64  `json:"failures"`
	Seed     uint64 `json:"seed"`
}

// Tell adds the run to the table: a line of JSON in the file that TORTURE_TABLE names, if it names one.
func (r *Run) Tell() error {
	path := os.Getenv("TORTURE_TABLE")
	if path == "" {
		return nil
	}
	line, err := json.Marshal(Row{r.What, r.Cases, r.Runs.Load(), r.Failures.Load(), r.Seed})
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		_ = f.Close() // the write's error says more
		return err
	}
	return f.Close()
}
