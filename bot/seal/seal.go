// Package seal keeps personal data unreadable at rest.
//
// Texts, names, numbers and event bodies are sealed with AES-256-GCM under a
// data key, and found again through keyed hashes (HMAC-SHA-256 under a hash
// key). Both kinds of key are random, live in the table data_key, and are
// wrapped there by DATA_KEY: changing DATA_KEY rewraps a few rows, reseals
// nothing, and loses no look-up.
//
// A sealed value is: one byte of format, four bytes of key id (big endian),
// twelve bytes of nonce, then the ciphertext with its tag. The purpose ("inbox",
// "outbox", "phone") is bound to it as additional data, so that a value copied
// into another column does not open.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// ErrSealed is returned for a value that does not open: cut short, altered,
// sealed for another purpose, or under a key that is not there.
var ErrSealed = errors.New("sealed value does not open")

const (
	format     = 1
	nonceSize  = 12
	headerSize = 1 + 4 + nonceSize
	// KeySize is the length of DATA_KEY and of every key under it, in bytes.
	KeySize = 32
	// HashSize is the length of a keyed hash, in bytes: long enough that two
	// values never meet, short enough for narrow indexes.
	HashSize = 16
)

// Keyring holds the unwrapped keys. It is safe for concurrent use.
type Keyring struct {
	current uint32
	data    map[uint32]cipher.AEAD
	macs    sync.Pool // of hash.Hash, keyed with the hash key
}

func newKeyring(current uint32, data map[uint32][]byte, hashKey []byte) (*Keyring, error) {
	k := &Keyring{current: current, data: make(map[uint32]cipher.AEAD, len(data))}
	for id, key := range data {
		aead, err := newAEAD(key)
		if err != nil {
			return nil, fmt.Errorf("data key %d: %w", id, err)
		}
		k.data[id] = aead
	}
	k.macs.New = func() any { return hmac.New(sha256.New, hashKey) }
	return k, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// ForTest returns a keyring with fixed keys, for tests that need no database.
func ForTest() *Keyring {
	data, hashKey := make([]byte, KeySize), make([]byte, KeySize)
	data[0], hashKey[0] = 1, 2
	k, err := newKeyring(1, map[uint32][]byte{1: data}, hashKey)
	if err != nil {
		panic(err) // the keys above have the right length
	}
	return k
}

// Seal encrypts plain for a purpose. Sealing the same text twice gives
// different bytes.
func (k *Keyring) Seal(purpose string, plain []byte) []byte {
	out := make([]byte, headerSize, headerSize+len(plain)+16)
	out[0] = format
	binary.BigEndian.PutUint32(out[1:5], k.current)
	rand.Read(out[5:headerSize]) // never fails: crypto/rand.Read aborts the program instead
	return k.data[k.current].Seal(out, out[5:headerSize], plain, []byte(purpose))
}

// Open decrypts what Seal made for the same purpose, or returns an error that
// wraps ErrSealed.
func (k *Keyring) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != format {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrSealed)
	}
	id := binary.BigEndian.Uint32(sealed[1:5])
	aead, ok := k.data[id]
	if !ok {
		return nil, fmt.Errorf("open %s: key %d is not there: %w", purpose, id, ErrSealed)
	}
	plain, err := aead.Open(nil, sealed[5:headerSize], sealed[headerSize:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", purpose, ErrSealed)
	}
	return plain, nil
}

// Hash returns the keyed hash of parts for a purpose, HashSize bytes. Parts are
// length-prefixed, so that ("ab","c") and ("a","bc") differ.
func (k *Keyring) Hash(purpose string, parts ...string) []byte {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	var n [4]byte
	write := func(s string) {
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		mac.Write(n[:])
		mac.Write([]byte(s))
	}
	write(purpose)
	for _, p := range parts {
		write(p)
	}
	var sum [sha256.Size]byte
	return append([]byte(nil), mac.Sum(sum[:0])[:HashSize]...)
}
