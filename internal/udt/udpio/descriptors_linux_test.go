package udpio

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	woken := make(chan struct{}, 10)
	d, err := NewDescriptors(func() { woken <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	var l Look
	const id = 1<<40 + 1<<31 + 5 // all 64 bits come back
	rfd, wfd := int(r.Fd()), int(w.Fd())
	if err := errors.Join(d.Add(rfd, id, true, false), d.Add(wfd, 6, false, false)); err != nil {
		t.Fatal(err)
	}
	d.Arm()
	if found := l.At(d, 10); len(found) != 0 {
		t.Errorf("found %+v", found)
	}
	await := func() {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(time.Minute):
			t.Fatal("not woken")
		}
	}
	if _, err := w.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	await()
	if found := l.At(d, 10); len(found) != 1 || found[0] != (DescriptorReady{ID: id, In: true}) {
		t.Errorf("found %+v", found)
	}
	d.Arm() // it is ready still
	await()
	if len(woken) != 0 {
		t.Error("woken without being armed")
	}
	if err := d.Modify(wfd, 7, false, true); err != nil {
		t.Fatal(err)
	}
	if found := l.At(d, 10); len(found) != 2 {
		t.Errorf("found %+v", found)
	}
	if found := l.At(d, 1); len(found) != 1 {
		t.Errorf("found %+v", found)
	}
	if err := d.Remove(rfd); err != nil {
		t.Fatal(err)
	}
	if found := l.At(d, 10); len(found) != 1 || found[0] != (DescriptorReady{ID: 7, Out: true}) {
		t.Errorf("found %+v", found)
	}
	r.Close()
	if found := l.At(d, 10); len(found) != 1 || found[0] != (DescriptorReady{ID: 7, In: true, Out: true, Err: true}) {
		t.Errorf("found %+v", found)
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := d.Add(int(file.Fd()), 8, true, true); !errors.Is(err, syscall.EPERM) {
		t.Errorf("a regular file: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	d.Arm()
	if found := l.At(d, 10); len(found) != 0 {
		t.Errorf("after the end: %+v", found)
	}
	if err := d.Modify(wfd, 7, true, true); err == nil {
		t.Error("after the end: no error")
	}
}
