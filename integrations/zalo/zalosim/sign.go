package zalosim

import (
	"crypto/sha256"
	"encoding/hex"
)

// Sign returns the mac of a webhook: the lower-case hex of
// SHA-256(app id ‖ body ‖ timestamp ‖ secret), no separators (Zalo: webhook
// overview). It goes into the header X-ZEvent-Signature as "mac=…".
func Sign(appID string, body []byte, timestamp, secret string) string {
	buf := make([]byte, 0, len(appID)+len(body)+len(timestamp)+len(secret))
	buf = append(buf, appID...)
	buf = append(buf, body...)
	buf = append(buf, timestamp...)
	buf = append(buf, secret...)
	sum := sha256.Sum256(buf)
	return hex.EncodeToString(sum[:])
}
