package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

// SignatureHeader carries Zalo's signature: "mac=" and 64 hex digits.
const SignatureHeader = "X-ZEvent-Signature"

// sign computes Zalo's mac: SHA-256 over app id, the body's bytes as received,
// the text of the body's timestamp, and the OA Secret Key, without separators.
// It is a plain hash, not an HMAC (Zalo: webhook signature).
func sign(appID string, body []byte, timestamp, secret string) [sha256.Size]byte {
	h := sha256.New()
	h.Write([]byte(appID))
	h.Write(body)
	h.Write([]byte(timestamp))
	h.Write([]byte(secret))
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// parseMAC reads the header. Spaces around "=" and upper-case digits are
// tolerated. ok is false when there is no well-formed mac.
func parseMAC(header string) (mac [sha256.Size]byte, ok bool) {
	name, value, found := strings.Cut(header, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(name), "mac") {
		return mac, false
	}
	value = strings.TrimSpace(value)
	if len(value) != hex.EncodedLen(len(mac)) {
		return mac, false
	}
	if _, err := hex.Decode(mac[:], []byte(value)); err != nil {
		return mac, false
	}
	return mac, true
}

// verify compares in constant time.
func verify(mac [sha256.Size]byte, appID string, body []byte, timestamp, secret string) bool {
	want := sign(appID, body, timestamp, secret)
	return subtle.ConstantTimeCompare(mac[:], want[:]) == 1
}
