//go:build race

package proto

// raceEnabled says that the race detector slows everything down.
const raceEnabled = true
