package proto

import "testing"

func TestTimers(t *testing.T) {
	var ts timers
	ts.init()
	if ts.next() != never || ts.isSet(timerACK) || ts.expire(timerACK, never-1) {
		t.Fatal("a new set has a timer running")
	}
	ts.set(timerACK, 100)
	ts.set(timerPeer, 50)
	if ts.next() != 50 {
		t.Errorf("next %d", ts.next())
	}
	if ts.expire(timerACK, 99) || !ts.isSet(timerACK) {
		t.Error("expired early")
	}
	ts.sooner(timerACK, 120)
	ts.sooner(timerACK, 90)
	ts.sooner(timerHold, 95)
	if ts.expire(timerACK, 89) {
		t.Errorf("timers %v", ts)
	}
	if !ts.expire(timerACK, 90) || ts.isSet(timerACK) || ts.expire(timerACK, 90) {
		t.Error("a timer expires at its time, once")
	}
	ts.clear(timerPeer)
	if ts.isSet(timerPeer) || ts.next() != 95 {
		t.Errorf("next %d", ts.next())
	}
}
