package secure

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The text of a key is a prefix that says what it is, and in base32 the key with four bytes of checksum.
const (
	publicPrefix = "udtcp-pub1"
	secretPrefix = "udtcp-secret1"

	sumLen = 4 // bytes
)

var keyText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PublicKey is the Ed25519 public key of an end. It is comparable.
type PublicKey [ed25519.PublicKeySize]byte

// String is the key's text, as ParsePublicKey takes it.
func (k PublicKey) String() string { return encodeKey(publicPrefix, k[:]) }

// Identity is an end's key pair. However it is printed, only the public key shows.
type Identity struct{ private ed25519.PrivateKey }

// NewIdentity makes a fresh key pair.
func NewIdentity() Identity {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	return Identity{ed25519.NewKeyFromSeed(seed)}
}

// Public is the key that others know this end by.
func (id Identity) Public() PublicKey { return PublicKey(id.private[ed25519.SeedSize:]) }

// Secret is the text of the private key, as ParseIdentity takes it: for a file that others cannot read, or a variable.
func (id Identity) Secret() string { return encodeKey(secretPrefix, id.private.Seed()) }

// Format keeps the private key out of everything that is printed.
func (id Identity) Format(s fmt.State, _ rune) {
	text := "no identity"
	if id.private != nil {
		text = "identity of " + id.Public().String()
	}
	_, _ = io.WriteString(s, text) // fmt has no use for the error
}

// MarshalText is for encoders, which do not ask Format.
func (id Identity) MarshalText() ([]byte, error) { return fmt.Append(nil, id), nil }

// LooksSecret says whether a text is a private key, was meant to be one, or has one in it, as the content of an identity's
// file does. Such a text must not be shown to anybody.
func LooksSecret(s string) bool { return strings.Contains(strings.ToLower(s), secretPrefix) }

// ParsePublicKey reads the text of a public key. Its errors do not repeat the text.
func ParsePublicKey(s string) (PublicKey, error) {
	if LooksSecret(s) {
		return PublicKey{}, errors.New("that is a private key; keep it to yourself and give the public one, which 'udtcp key show' prints")
	}
	b, err := decodeKey(publicPrefix, s)
	if err != nil {
		return PublicKey{}, err
	}
	return PublicKey(b), nil
}

// ParseIdentity reads the text of a private key. Its errors do not repeat the text.
func ParseIdentity(s string) (Identity, error) {
	if strings.HasPrefix(s, publicPrefix) {
		return Identity{}, errors.New("that is a public key; an identity is the private one")
	}
	b, err := decodeKey(secretPrefix, s)
	if err != nil {
		return Identity{}, err
	}
	return Identity{ed25519.NewKeyFromSeed(b)}, nil
}

func encodeKey(prefix string, key []byte) string {
	return prefix + keyText.EncodeToString(append(bytes.Clone(key), checksum(prefix, key)...))
}

// decodeKey accepts what encodeKey writes and nothing else.
func decodeKey(prefix, s string) ([]byte, error) {
	const size = 32
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return nil, fmt.Errorf("that is no key: one begins with %s", prefix)
	}
	if want := keyText.EncodedLen(size + sumLen); len(rest) != want {
		return nil, fmt.Errorf("the key is not complete: %d characters follow %s, not %d", want, prefix, len(rest))
	}
	b, err := keyText.DecodeString(rest)
	if err != nil || encodeKey(prefix, b[:size]) != s {
		return nil, errors.New("the key has a typing mistake: its checksum does not fit")
	}
	return b[:size], nil
}

func checksum(prefix string, key []byte) []byte {
	sum := sha256.Sum256(append([]byte(prefix), key...))
	return sum[:sumLen]
}
