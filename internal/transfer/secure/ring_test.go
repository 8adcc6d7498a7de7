package secure

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func newRing(t *testing.T) Ring { return Ring(filepath.Join(t.TempDir(), "config", "udtcp")) }

func (r Ring) put(t *testing.T, name, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(string(r), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(r), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// wantError checks the kind and what message and hint have in them.
func wantError(t *testing.T, err error, kind Kind, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%v, want an *Error", err)
		return
	}
	if e.Kind != kind {
		t.Errorf("kind %d, want %d: %v", e.Kind, kind, err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%q says nothing of %q", err, p)
		}
	}
	if strings.Contains(err.Error(), secretPrefix+"a") || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("%q", err)
	}
}

func TestIdentityIsMadeOnce(t *testing.T) {
	r := newRing(t)
	if _, err := r.Identity(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an identity out of nothing: %v", err)
	}
	id, made, err := r.EnsureIdentity()
	if err != nil || !made {
		t.Fatalf("%v, %v", made, err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]fs.FileMode{string(r): 0o700, r.IdentityPath(): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	again, made, err := r.EnsureIdentity()
	if err != nil || made || again.Public() != id.Public() {
		t.Errorf("another identity, %v, %v", made, err)
	}
	if entries, err := os.ReadDir(string(r)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Ends that start at the same moment have one identity.
func TestIdentityRace(t *testing.T) {
	for range 20 {
		r := newRing(t)
		const ends = 16
		ids, makers := make([]Identity, ends), make([]bool, ends)
		var wg sync.WaitGroup
		begin := make(chan struct{})
		for i := range ends {
			wg.Go(func() {
				<-begin
				var err error
				if ids[i], makers[i], err = r.EnsureIdentity(); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		wg.Wait()
		made := 0
		for i := range ends {
			if !ids[i].private.Equal(ids[0].private) {
				t.Fatal("two identities")
			}
			if makers[i] {
				made++
			}
		}
		if made != 1 {
			t.Errorf("%d say that they made it", made)
		}
	}
}

func TestKeyFileModes(t *testing.T) {
	if !modesCount {
		t.Skip("modes say nothing here")
	}
	secret := NewIdentity().Secret() + "\n"
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o660, 0o610, 0o601} {
		r := newRing(t)
		r.put(t, identityName, secret, mode)
		_, err := r.Identity()
		wantError(t, err, KindAuth, "others can read", r.IdentityPath(), "chmod 600 "+r.IdentityPath())
		if _, _, err := r.EnsureIdentity(); err == nil {
			t.Error("it is overlooked where one would be made")
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		r := newRing(t)
		r.put(t, identityName, secret, mode)
		if _, err := r.Identity(); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o622, 0o660, 0o602} {
		r := newRing(t)
		r.put(t, trustedName, "", mode)
		_, err := r.Trusted()
		wantError(t, err, KindAuth, "others can write to", "chmod 600 "+r.TrustedPath())
	}
	r := newRing(t)
	r.put(t, trustedName, "", 0o644)
	if _, err := r.Trusted(); err != nil {
		t.Error(err)
	}
	r.put(t, identityName, secret, 0o600)
	if err := os.Chmod(string(r), 0o770); err != nil {
		t.Fatal(err)
	}
	_, err := r.Identity()
	wantError(t, err, KindAuth, "others can write to", "chmod 700 "+string(r))
	_, err = r.Trusted()
	wantError(t, err, KindAuth, "chmod 700 "+string(r))
	_, err = r.Trust(NewIdentity().Public(), "")
	wantError(t, err, KindAuth, "chmod 700 "+string(r))
}

// What belongs to another user is that user's to change.
func TestKeyFilesOfOthers(t *testing.T) {
	if !modesCount || os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, name := range []string{identityName, trustedName, "."} {
		r := newRing(t)
		r.put(t, identityName, NewIdentity().Secret()+"\n", 0o600)
		r.put(t, trustedName, "", 0o600)
		path := filepath.Join(string(r), name)
		if err := os.Chown(path, 12345, 0); err != nil {
			t.Fatal(err)
		}
		_, idErr := r.Identity()
		_, trustErr := r.Trusted()
		if name != trustedName {
			wantError(t, idErr, KindAuth, path+" belongs to another user", "chown")
		} else if idErr != nil {
			t.Error(idErr)
		}
		if name != identityName {
			wantError(t, trustErr, KindAuth, path+" belongs to another user", "chown")
		} else if trustErr != nil {
			t.Error(trustErr)
		}
	}
}

func TestDamagedIdentity(t *testing.T) {
	id := NewIdentity()
	for content, want := range map[string]string{
		"":                                      "has no key",
		"# only a comment\n":                    "has no key",
		id.Secret()[:60] + "\n":                 "line 1: the key is not complete",
		"# x\n\n" + id.Public().String() + "\n": "line 3: that is a public key",
		"hello\n":                               "line 1: that is no key",
		"\x00\x1b[2J\n":                         "line 1: that is no key",
		id.Secret() + "\n" + id.Secret() + "\n": "line 2: there is a second key",
		id.Secret() + "x\n":                     "line 1: ",
		strings.Repeat("#", maxKeyFile+1):       "too long",
	} {
		r := newRing(t)
		r.put(t, identityName, content, 0o600)
		_, err := r.Identity()
		wantError(t, err, KindAuth, want, r.IdentityPath())
		// It is not replaced either.
		if _, made, err := r.EnsureIdentity(); made || err == nil {
			t.Errorf("%v, %v", made, err)
		}
	}
	r := newRing(t)
	if err := os.MkdirAll(r.IdentityPath(), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := r.Identity()
	wantError(t, err, KindAuth, "directory")
}

func TestTrust(t *testing.T) {
	r, a, b := newRing(t), NewIdentity().Public(), NewIdentity().Public()
	if keys, err := r.Trusted(); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
	for i, want := range []bool{true, false} {
		if added, err := r.Trust(a, "laptop of Ada"); err != nil || added != want {
			t.Errorf("time %d: %v, %v", i, added, err)
		}
	}
	// An editor that leaves out the end of the last line.
	text, err := os.ReadFile(r.TrustedPath())
	if err != nil || string(text) != a.String()+" laptop of Ada\n" {
		t.Errorf("%q, %v", text, err)
	}
	r.put(t, trustedName, "# mine\n\n  "+strings.TrimSpace(string(text)), 0o600)
	if added, err := r.Trust(b, ""); err != nil || !added {
		t.Errorf("%v, %v", added, err)
	}
	keys, err := r.Trusted()
	if err != nil || len(keys) != 2 || !keys[a] || !keys[b] {
		t.Errorf("%v, %v", keys, err)
	}
	for _, comment := range []string{"two\nlines", "\x1b[2J", "\u202e", "\xff"} {
		if _, err := r.Trust(NewIdentity().Public(), comment); err == nil {
			t.Errorf("the comment %q is taken", comment)
		}
	}
}

func TestTrustRace(t *testing.T) {
	r := newRing(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if added, err := r.Trust(NewIdentity().Public(), "x"); err != nil || !added {
				t.Errorf("%v, %v", added, err)
			}
		})
	}
	wg.Wait()
	if keys, err := r.Trusted(); err != nil || len(keys) != 16 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestDamagedTrusted(t *testing.T) {
	k := NewIdentity().Public().String()
	for content, want := range map[string]string{
		k + "\n" + k[:40] + "\n":             "line 2: the key is not complete",
		"x" + k + "\n":                       "line 1: that is no key",
		"\n" + NewIdentity().Secret() + "\n": "line 2: that is a private key",
	} {
		r := newRing(t)
		r.put(t, trustedName, content, 0o600)
		_, err := r.Trusted()
		wantError(t, err, KindAuth, want, r.TrustedPath(), "correct or remove that line")
		_, err = r.Trust(NewIdentity().Public(), "")
		wantError(t, err, KindAuth, want)
	}
}

// A directory that cannot be made is no fault of the identity.
func TestNoPlaceForIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Ring(filepath.Join(file, "udtcp")).EnsureIdentity()
	if err == nil {
		t.Error("made below a file")
	}
	_, err = Ring(filepath.Join(file, "udtcp")).Trust(NewIdentity().Public(), "")
	wantError(t, err, KindLocalIO, "cannot trust that key")
}

func FuzzTrusted(f *testing.F) {
	f.Add([]byte("# x\n" + NewIdentity().Public().String() + " comment\n"))
	f.Add([]byte("\r\n \t\n#"))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := parseTrusted("trusted", b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || keys != nil {
				t.Fatalf("%v, %v", keys, err)
			}
			return
		}
		for k := range keys {
			if !strings.Contains(string(b), k.String()) {
				t.Errorf("%v came out of nothing", k)
			}
		}
	})
}
