package secure

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestKeyText(t *testing.T) {
	id := NewIdentity()
	k, err := ParsePublicKey(id.Public().String())
	if err != nil || k != id.Public() {
		t.Errorf("%v, %v", k, err)
	}
	same, err := ParseIdentity(id.Secret())
	if err != nil || !same.private.Equal(id.private) {
		t.Errorf("the identity did not come back: %v", err)
	}
	if NewIdentity().Public() == id.Public() {
		t.Error("two new identities are the same")
	}
}

// Every typing mistake of one character, and every cut, is told.
func TestKeyTypingMistakes(t *testing.T) {
	id := NewIdentity()
	for _, text := range []string{id.Public().String(), id.Secret()} {
		parse := func(s string) error {
			if LooksSecret(text) {
				_, err := ParseIdentity(s)
				return err
			}
			_, err := ParsePublicKey(s)
			return err
		}
		for i := range text {
			for _, c := range "a7Z1-\x00" {
				if wrong := text[:i] + string(c) + text[i+1:]; wrong != text && parse(wrong) == nil {
					t.Fatalf("character %d may be %q", i, c)
				}
			}
			if parse(text[:i]) == nil {
				t.Fatalf("%d characters are enough", i)
			}
		}
		for _, wrong := range []string{text + "a", " " + text, strings.ToUpper(text), text + "\n"} {
			if parse(wrong) == nil {
				t.Errorf("%d characters in another form are taken", len(wrong))
			}
		}
	}
}

// A key of one kind given where the other is wanted is told so, and a private one is never repeated.
func TestKeyMixedUp(t *testing.T) {
	id := NewIdentity()
	for _, secret := range []string{id.Secret(), id.Secret()[:30], strings.ToUpper(id.Secret())} {
		if _, err := ParsePublicKey(secret); err == nil || !strings.Contains(err.Error(), "private key") || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
	if _, err := ParseIdentity(id.Public().String()); err == nil || !strings.Contains(err.Error(), "public key") {
		t.Errorf("%v", err)
	}
	if _, err := ParseIdentity(id.Secret()[:40]); err == nil || strings.Contains(err.Error(), id.Secret()[20:40]) {
		t.Errorf("%v", err)
	}
}

// However an identity is printed, the private key is not in it.
func TestIdentityIsNotPrinted(t *testing.T) {
	id := NewIdentity()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T"} {
		fmt.Fprintf(&out, verb+"\n", id)
		fmt.Fprintf(&out, verb+"\n", &id)
		fmt.Fprintf(&out, verb+"\n", struct{ I Identity }{id})
		fmt.Fprintf(&out, verb+"\n", Config{Identity: id})
	}
	j, err := json.Marshal(map[string]any{"identity": id, "config": struct{ I Identity }{id}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "identity", id)
	if !strings.Contains(out.String(), id.Public().String()) {
		t.Error("nor is the public one")
	}
	seed := id.private.Seed()
	for _, secret := range []string{id.Secret()[len(secretPrefix):], hex.EncodeToString(seed), fmt.Sprintf("%d", seed)} {
		if strings.Contains(strings.ToLower(out.String()), strings.Trim(secret, "[]")) {
			t.Errorf("the private key is in\n%s", out.String())
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(NewIdentity().Public().String())
	f.Add(publicPrefix)
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParsePublicKey(s); err == nil && k.String() != s {
			t.Errorf("%q is read as %v", s, k)
		}
	})
}

func FuzzIdentity(f *testing.F) {
	f.Add(NewIdentity().Secret())
	f.Add(secretPrefix)
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseIdentity(s); err == nil && id.Secret() != s {
			t.Errorf("%q is read as another", s)
		}
	})
}
