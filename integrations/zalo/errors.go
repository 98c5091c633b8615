package zalo

import (
	"strings"
	"time"
	"unicode/utf8"

	"congdanso/bot/delivery"
)

// host tells the families of calls apart: a few codes mean different things.
type host int

const (
	hostOA       host = iota // openapi.zalo.me
	hostTemplate             // openapi.zalo.me: template messages by user id
	hostPhone                // business.openapi.zalo.me: template messages by phone
)

// codes that more than the table knows.
const (
	codeThrottled    = -32
	codeTokenInvalid = -216
	codeTokenExpired = -220
	codeTokenPhone   = -124
	codeTryLater     = -100 // of template messages; elsewhere what was uploaded has expired
	codeArticles     = -223 // a missing right, or the article quota: its text tells
	codeProcessing   = -214
)

// throttledFor is how long a call waits at least after -32. Zalo's window is the
// minute, but nobody knows where it begins, and the rate limit is lowered anyway.
const throttledFor = 5 * time.Second

// processingFor is how long Zalo takes at most to prepare an article.
const processingFor = 12 * time.Second

// oaClasses is Zalo's table of errors for the OA API, with what each asks for.
var oaClasses = map[int]delivery.Class{
	codeThrottled:    delivery.ClassNotSent,
	codeTryLater:     delivery.ClassReupload,
	-200:             delivery.ClassWait,
	-201:             delivery.ClassDrop,
	-204:             delivery.ClassHuman,
	-205:             delivery.ClassHuman,
	-209:             delivery.ClassHuman,
	-210:             delivery.ClassDrop,
	-211:             delivery.ClassQuota,
	-212:             delivery.ClassHuman,
	-213:             delivery.ClassDrop,
	codeProcessing:   delivery.ClassWait,
	codeTokenInvalid: delivery.ClassNotSent,
	-217:             delivery.ClassDrop,
	-218:             delivery.ClassQuota,
	-219:             delivery.ClassHuman,
	codeTokenExpired: delivery.ClassNotSent,
	-221:             delivery.ClassHuman,
	codeArticles:     delivery.ClassHuman,
	-224:             delivery.ClassHuman,
	-227:             delivery.ClassDrop,
	-230:             delivery.ClassWindow,
	-232:             delivery.ClassWindow,
	-233:             delivery.ClassDrop,
	-234:             delivery.ClassNight,
	-235:             delivery.ClassHuman,
	-237:             delivery.ClassDrop,
	-238:             delivery.ClassDrop,
	-240:             delivery.ClassDrop,
	-241:             delivery.ClassDrop,
	-242:             delivery.ClassHuman,
	-244:             delivery.ClassDrop,
	-248:             delivery.ClassDrop,
	-249:             delivery.ClassDrop,
	-320:             delivery.ClassHuman,
	-321:             delivery.ClassHuman,
	-403:             delivery.ClassDrop,
	-1340:            delivery.ClassDrop,
	-1341:            delivery.ClassDrop,
	codeTokenPhone:   delivery.ClassNotSent, // belongs to the phone host; treated alike
}

// phoneCodes lists Zalo's table for template messages by phone, by class.
var phoneCodes = map[delivery.Class][]int{
	delivery.ClassWait: {codeTryLater},
	delivery.ClassHuman: {
		-101, -102, -103, -104, -105, -1091, -115, -137, -117,
		-120, -1201, -1202, -135, -1351, -136, -138, -1381, -145,
		-123, -128, -129, -142, -143, -151, -152, -1241, -131, -146,
	},
	delivery.ClassDrop: {
		-106, -107, -109, -111, -112, -113, -1131, -1132, -116, -121, -122, -125, -130, -132, -153, -158, -159, -161, -162,
		-108, -110, -1121, -1122, -1123, -1124, -114, -118, -119, -127, -134, -139, -140, -141,
		-148, -149, -1491, -150,
	},
	delivery.ClassQuota:   {-126, -144, -1441, -147, -1471, -1472, -160},
	delivery.ClassNight:   {-133},
	delivery.ClassNotSent: {codeTokenPhone, codeTokenInvalid, codeTokenExpired, codeThrottled},
}

var phoneClasses = func() map[int]delivery.Class {
	m := map[int]delivery.Class{}
	for class, codes := range phoneCodes {
		for _, code := range codes {
			m[code] = class
		}
	}
	return m
}()

// classOf says what an error code asks for. A code that stands in no table is
// tried again a few times, and told of. A template message by user id is refused
// with the account's codes for the person, and with those of the channel by
// phone for the template.
func classOf(h host, code int, message string) (class delivery.Class, known bool) {
	if h != hostPhone {
		class, known = oaClasses[code]
	}
	if h != hostOA && (!known || code == codeTryLater) {
		class, known = phoneClasses[code]
	}
	switch {
	case !known:
		return delivery.ClassWait, false
	case h == hostOA && code == codeArticles && strings.Contains(strings.ToLower(message), "quota"):
		return delivery.ClassQuota, true
	}
	return class, true
}

// tokenRefused reports whether a code says that the access token is no good.
func tokenRefused(code int) bool {
	return code == codeTokenInvalid || code == codeTokenExpired || code == codeTokenPhone
}

// refusal makes what a caller gets of an error code.
func refusal(h host, code int, message string) (ref *delivery.Refusal, known bool) {
	class, known := classOf(h, code, message)
	ref = &delivery.Refusal{Class: class, Code: code, Message: clean(message)}
	switch {
	case code == codeThrottled:
		ref.RetryAfter = throttledFor
	case h == hostOA && code == codeProcessing:
		ref.RetryAfter = processingFor
	}
	return ref, known
}

// clean keeps Zalo's words fit for logs: short, one line, and without long
// numbers, which could be somebody's id or phone.
func clean(message string) string {
	const most = 160
	var b strings.Builder
	digits := 0
	for _, r := range message {
		if b.Len() >= most {
			break
		}
		if r >= '0' && r <= '9' {
			if digits++; digits > 4 {
				if digits == 5 {
					b.WriteRune('…')
				}
				continue
			}
		} else {
			digits = 0
		}
		if r < ' ' || r == utf8.RuneError {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
