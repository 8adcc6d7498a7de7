package leakcheck

import (
	"strings"
	"testing"
	"time"
)

func linger(begun chan<- struct{}, release <-chan struct{}) {
	close(begun)
	<-release
}

func TestLeaked(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	go linger(begun, release)
	<-begun // a goroutine that has not run yet goes by another name
	if left := leaked("leakcheck.linger", 10*time.Millisecond); !strings.Contains(left, "leakcheck.linger") {
		t.Errorf("a goroutine that stays is not seen: %q", left)
	}
	if left := leaked("leakcheck.nothing", time.Hour); left != "" {
		t.Errorf("somebody else's goroutine is taken for a leak:\n%s", left)
	}
	close(release) // it may take its time to end
	if left := leaked("leakcheck.linger", 10*time.Second); left != "" {
		t.Errorf("an ended goroutine is taken for a leak:\n%s", left)
	}
}
