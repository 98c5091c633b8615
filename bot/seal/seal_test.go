package seal

import (
	"bytes"
	"errors"
	"testing"
)

func TestSealOpensOnlyForItsPurpose(t *testing.T) {
	k := ForTest()
	sealed := k.Seal("inbox", []byte("Nguyễn Văn A"))
	if bytes.Contains(sealed, []byte("Nguy")) {
		t.Fatal("the plain text shows in the sealed value")
	}
	plain, err := k.Open("inbox", sealed)
	if err != nil || string(plain) != "Nguyễn Văn A" {
		t.Fatalf("open = %q, %v", plain, err)
	}
	if _, err := k.Open("outbox", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("opened for another purpose: %v", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := k.Open("inbox", bad); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened with byte %d altered: %v", i, err)
		}
		if _, err := k.Open("inbox", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Fatalf("opened when cut to %d bytes: %v", i, err)
		}
	}
	if bytes.Equal(sealed, k.Seal("inbox", []byte("Nguyễn Văn A"))) {
		t.Error("sealing twice gave the same bytes")
	}
}

func TestHashSeparatesPartsAndPurposes(t *testing.T) {
	k := ForTest()
	same := k.Hash("phone", "84912345678")
	if !bytes.Equal(same, k.Hash("phone", "84912345678")) {
		t.Error("the hash of the same value differs")
	}
	for name, other := range map[string][]byte{
		"purpose": k.Hash("citizen", "84912345678"),
		"value":   k.Hash("phone", "84912345679"),
		"parts":   k.Hash("phone", "8491234", "5678"),
	} {
		if bytes.Equal(same, other) {
			t.Errorf("another %s gives the same hash", name)
		}
	}
	if len(same) != HashSize {
		t.Errorf("hash has %d bytes, want %d", len(same), HashSize)
	}
}
