//go:build race

package udt_test

// raceEnabled says that the race detector slows everything down.
const raceEnabled = true
