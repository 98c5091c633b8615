package zalosim

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The paths the stand-in serves.
const (
	PathSend          = "/v3.0/oa/message/cs"
	PathTemplate      = "/v3.0/oa/message/template"
	PathBroadcast     = "/v2.0/oa/message"
	PathUser          = "/v3.0/oa/user/detail"
	PathUsers         = "/v3.0/oa/user/getlist"
	PathQuota         = "/v3.0/oa/quota/message"
	PathTag           = "/v2.0/oa/tag/tagfollower"
	PathUntag         = "/v2.0/oa/tag/rmfollowerfromtag"
	PathTags          = "/v2.0/oa/tag/gettagsofoa"
	PathForget        = "/v2.0/oa/deletefollowerinfo"
	PathRecent        = "/v2.0/oa/listrecentchat"
	PathConversation  = "/v2.0/oa/conversation"
	PathOA            = "/v2.0/oa/getoa"
	PathArticleCreate = "/v2.0/article/create"
	PathArticleVerify = "/v2.0/article/verify"
	PathArticleUpdate = "/v2.0/article/update"
	PathArticleRemove = "/v2.0/article/remove"
	PathArticleDetail = "/v2.0/article/getdetail"
	PathPhone         = "/message/template" // on Zalo's host for business
	PathTemplateInfo  = "/template/info/v2" // the same
	PathToken         = "/v4/oa/access_token"
)

// route says how a path is called and answered.
type route struct {
	method string
	answer func(s *Sim, c *call) answer
}

var routes = map[string]route{
	PathSend:          {http.MethodPost, (*Sim).send},
	PathTemplate:      {http.MethodPost, (*Sim).sendTemplate},
	PathBroadcast:     {http.MethodPost, (*Sim).broadcast},
	PathUser:          {http.MethodGet, (*Sim).userDetail},
	PathUsers:         {http.MethodGet, (*Sim).userList},
	PathQuota:         {http.MethodPost, (*Sim).quota},
	PathTag:           {http.MethodPost, (*Sim).tag},
	PathUntag:         {http.MethodPost, (*Sim).untag},
	PathTags:          {http.MethodGet, (*Sim).tagsOfOA},
	PathForget:        {http.MethodPost, (*Sim).forget},
	PathRecent:        {http.MethodGet, (*Sim).recentChats},
	PathConversation:  {http.MethodGet, (*Sim).conversation},
	PathOA:            {http.MethodGet, (*Sim).getOA},
	PathArticleCreate: {http.MethodPost, (*Sim).createArticle},
	PathArticleVerify: {http.MethodPost, (*Sim).verifyArticle},
	PathArticleUpdate: {http.MethodPost, (*Sim).updateArticle},
	PathArticleRemove: {http.MethodPost, (*Sim).removeArticle},
	PathArticleDetail: {http.MethodGet, (*Sim).articleDetail},
	PathPhone:         {http.MethodPost, (*Sim).sendPhone},
	PathTemplateInfo:  {http.MethodGet, (*Sim).templateInfo},
	PathToken:         {http.MethodPost, (*Sim).token},
}

// business reports whether a path belongs to Zalo's other host: its errors have
// numbers of their own, and its calls do not count against the account's minute.
func business(path string) bool { return path == PathPhone || path == PathTemplateInfo }

// call is one request on its way to an answer.
type call struct {
	now      time.Time
	header   http.Header
	query    url.Values // of a GET
	body     []byte     // of a POST, or the data parameter of a GET
	user     string     // whom it is about, as far as can be made out
	send     sendRequest
	template templateRequest
	bad      *answer // the body did not decode
}

// answer is what the stand-in says.
type answer struct {
	status     int // 0: 200
	body       []byte
	user       string
	html       bool
	cut        bool // no answer: cut the connection
	retryAfter string
	limit      int // X-RateLimit-Limit; 0: none
	remain     int
}

// ok answers a success with data, which may be nil.
func ok(data []byte) answer {
	b := make([]byte, 0, len(data)+48)
	b = append(b, '{')
	if data != nil {
		b = append(b, `"data":`...)
		b = append(b, data...)
		b = append(b, ',')
	}
	return answer{body: append(b, `"error":0,"message":"Success"}`...)}
}

// refuse answers HTTP 200 with an error code, as Zalo does.
func refuse(code int, message string) answer {
	b := append(make([]byte, 0, 64), `{"error":`...)
	b = strconv.AppendInt(b, int64(code), 10)
	b = append(b, `,"message":`...)
	b = appendQuoted(b, message, false)
	return answer{body: append(b, '}')}
}

// ServeHTTP answers the API's calls.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rt, known := routes[r.URL.Path]
	if !known || rt.method != r.Method {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":404,"message":"Not found"}`)
		return
	}
	c := &call{now: s.clock.Now(), header: r.Header}
	if err := c.read(r); err != nil {
		return // the caller is gone
	}
	s.decode(r.URL.Path, c)

	s.mu.Lock()
	s.counts[r.URL.Path]++
	s.mu.Unlock()
	process := func() answer { return s.process(r.URL.Path, rt, c) }
	var a answer
	if fault := s.faults.strike(r.URL.Path, c.user); fault != nil {
		a = s.suffer(fault, r, process)
	} else {
		a = process()
	}
	s.reply(w, a)
	if s.opt.KeepLog > 0 {
		s.logCall(r, c, a, time.Since(start))
	}
	s.watch.tell(UpdateCall, c.user)
}

// read takes in the body or the data parameter.
func (c *call) read(r *http.Request) error {
	if r.Method == http.MethodGet {
		c.query = r.URL.Query()
		c.body = []byte(c.query.Get("data"))
		return nil
	}
	if n := r.ContentLength; n >= 0 && n < 1<<20 {
		c.body = make([]byte, n)
		_, err := io.ReadFull(r.Body, c.body)
		return err
	}
	var err error
	c.body, err = io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return err
}

// decode makes out whom the call is about, and reads a message whole.
func (s *Sim) decode(path string, c *call) {
	switch path {
	case PathSend:
		c.bad = decodeSend(c.body, &c.send)
		c.user = c.send.Recipient.UserID
		return
	case PathTemplate, PathPhone:
		c.bad = decodeTemplate(path, c.body, &c.template)
		c.user = c.template.UserID
		if path == PathPhone {
			c.user = s.byPhone(c.template.Phone)
		}
		return
	case PathToken:
		return
	}
	var q struct {
		UserID text `json:"user_id"`
	}
	if len(c.body) > 0 && json.Unmarshal(c.body, &q) == nil {
		c.user = string(q.UserID)
	}
}

// process checks token and rate, then lets the path answer.
func (s *Sim) process(path string, rt route, c *call) answer {
	if path == PathToken {
		return rt.answer(s, c)
	}
	token := s.oauth.check(c.header.Get("access_token"), c.now, &s.opt)
	proof := s.proofOK(c.header)
	if business(path) {
		switch {
		case token != 0:
			return *refusal(codeTokenPhone)
		case !proof:
			return *refusal(codeBadProofPhone)
		case s.suspended.Load():
			return *refusal(codeSuspendedPhone)
		}
		return rt.answer(s, c)
	}
	switch {
	case token != 0:
		return *refusal(token)
	case !proof:
		return *refusal(codeBadProof)
	case s.suspended.Load():
		return *refusal(codeSuspended)
	}
	s.mu.Lock()
	limit, remain := s.opt.RatePerMinute, s.app.room(c.now)-1
	var a answer
	switch {
	case remain < 0:
		a = refuse(codeRate, "Your application reached limit call api")
	case s.oa.room(c.now) < 1:
		a = refuse(codeRate, "Your OA reached limit call api")
		remain++
	default:
		s.app.take(c.now)
		s.oa.take(c.now)
		s.mu.Unlock()
		a = rt.answer(s, c)
		s.mu.Lock()
	}
	s.mu.Unlock()
	if limit > 0 {
		a.limit, a.remain = limit, max(0, remain)
	}
	return a
}

// proofOK checks appsecret_proof: hex(HMAC-SHA256(app secret, access token)).
func (s *Sim) proofOK(h http.Header) bool {
	proof := h.Get("appsecret_proof")
	if proof == "" {
		return !s.opt.RequireProof
	}
	mac := hmac.New(sha256.New, []byte(s.opt.AppSecret))
	mac.Write([]byte(h.Get("access_token")))
	return hmac.Equal([]byte(proof), []byte(hex.EncodeToString(mac.Sum(nil))))
}

func (s *Sim) reply(w http.ResponseWriter, a answer) {
	if a.cut {
		cut(w)
		return
	}
	h := w.Header()
	if a.html {
		h.Set("Content-Type", "text/html; charset=utf-8")
	} else {
		h["Content-Type"] = jsonType
	}
	if a.retryAfter != "" {
		h.Set("Retry-After", a.retryAfter)
	}
	if a.limit > 0 {
		h["X-Ratelimit-Limit"] = []string{strconv.Itoa(a.limit)}
		h["X-Ratelimit-Remain"] = []string{strconv.Itoa(a.remain)}
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	w.Write(a.body) // a caller who is gone is no matter
}

var jsonType = []string{"application/json;charset=UTF-8"}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	hj, can := w.(http.Hijacker)
	if !can {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hj.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Close()
}

// logCall keeps what was asked and answered; tokens are kept out.
func (s *Sim) logCall(r *http.Request, c *call, a answer, took time.Duration) {
	entry := APICall{At: c.now, Method: r.Method, Path: r.URL.Path, User: c.user,
		Request: cmp.Or(string(c.body), r.URL.RawQuery), Response: string(a.body), Status: a.status, Took: took}
	if entry.Status == 0 && !a.cut {
		entry.Status = http.StatusOK
	}
	if r.URL.Path == PathToken {
		entry.Request = "grant_type=" + grantType(c.body)
		if strings.Contains(entry.Response, "access_token") {
			entry.Response = `{"access_token":"…","refresh_token":"…"}`
		}
	}
	s.calls.add(entry)
}

// APICall is one call of the API and its answer. Tokens are left out.
type APICall struct {
	At       time.Time
	Method   string
	Path     string
	User     string // whom it was about, if anybody
	Request  string // body, or the parameters
	Status   int    // 0: the connection was cut
	Response string
	Took     time.Duration
}

// WebhookLog is one try to deliver a webhook.
type WebhookLog struct {
	At     time.Time
	Event  string
	User   string
	Body   string
	Try    int // 0 is the first; else the number of the retry
	Status int // 0: no answer
	Err    string
	Took   time.Duration
}
