package chatpage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"congdanso/integrations/zalo/zalosim"
)

// maxForm bounds what a form may hold, in bytes: a long message and to spare.
const maxForm = 64 << 10

// replyWait is how long a form sent without script waits for the answer, so that
// the page that comes back already shows it.
const replyWait = 1500 * time.Millisecond

// What the attachment menu sends. The addresses are Zalo's kind of address; the
// page draws its own pictures in their place.
var attachments = map[string]string{
	"image":         "https://photo-stal-1.zdn.vn/giay-hen-mau.jpg",
	"sticker":       "https://zalo-api.zdn.vn/sticker/mau.png",
	"file":          "https://f1-zpc.zdn.vn/don-de-nghi.pdf",
	"audio":         "https://voice-zpc.zdn.vn/loi-nhan.amr",
	"video":         "https://video-zpc.zdn.vn/quay-canh.mp4",
	"business_card": "https://f1-zpc.zdn.vn/danh-thiep",
}

// sampleLatitude and sampleLongitude are the place the attachment menu sends: the
// middle of Hoa Lư.
const (
	sampleLatitude  = "20.2506"
	sampleLongitude = "105.9745"
)

var (
	errBadInput   = errors.New("empty or too long")
	errUnknownAct = errors.New("unknown act")
)

// act does what a citizen (or staff) does on the phone. A script gets 204 and
// sees the rest live; a form without script gets the page again.
func (p *Page) act(w http.ResponseWriter, r *http.Request) {
	user, ok := p.user(w, r)
	if !ok {
		return
	}
	byScript := r.Header.Get("X-Live") != ""
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	updates, cancel := p.sim.Subscribe()
	defer cancel()

	switch err := p.do(user.ID, r); {
	case errors.Is(err, errUnknownAct):
		http.NotFound(w, r)
	case err != nil && byScript:
		http.Error(w, p.words(r).T("bad_input"), http.StatusBadRequest)
	case err != nil:
		v := p.view(p.words(r), user, r.Host)
		v.Notice = v.T("bad_input")
		p.show(w, r, http.StatusBadRequest, v)
	case byScript:
		w.WriteHeader(http.StatusNoContent)
	default:
		p.awaitReply(r.Context(), user.ID, updates)
		http.Redirect(w, r, p.opt.Prefix+"/u/"+user.ID+"#phone", http.StatusSeeOther)
	}
}

func (p *Page) do(user string, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("read form: %w", err)
	}
	text := strings.ReplaceAll(r.PostForm.Get("text"), "\r\n", "\n")
	switch act := r.PathValue("act"); act {
	case "say":
		if strings.TrimSpace(text) == "" {
			return errBadInput
		}
		p.sim.SendText(user, text)
	case "tap":
		if shown := r.PostForm.Get("show"); shown != "" {
			p.sim.Tap(user, shown, true)
		} else if hidden := r.PostForm.Get("hide"); hidden != "" {
			p.sim.Tap(user, hidden, false)
		} else {
			return errBadInput
		}
	case "follow":
		p.sim.Follow(user)
	case "unfollow":
		p.sim.Unfollow(user)
	case "open":
		p.sim.OpenChat(user)
	case "withdraw":
		p.sim.Withdraw(user)
	case "send":
		return p.send(user, r.PostForm.Get("kind"), text)
	case "info":
		p.sim.SubmitInfo(user, zalosim.Info{
			Name:  strings.TrimSpace(r.PostForm.Get("name")),
			Phone: international(r.PostForm.Get("phone")),
			Ward:  strings.TrimSpace(r.PostForm.Get("ward")),
		})
	case "staff":
		name := strings.TrimSpace(r.PostForm.Get("admin"))
		if strings.TrimSpace(text) == "" || name == "" {
			return errBadInput
		}
		p.sim.StaffSays(user, adminID(name), text)
	default:
		return errUnknownAct
	}
	return nil
}

// send sends one of the samples of the attachment menu.
func (p *Page) send(user, kind, caption string) error {
	if kind == "location" {
		p.sim.SendLocation(user, sampleLatitude, sampleLongitude)
		return nil
	}
	url, ok := attachments[kind]
	if !ok {
		return errBadInput
	}
	p.sim.SendMedia(user, kind, caption, url)
	return nil
}

// international writes a phone number as Zalo does in its form's answer, 84…; what
// is no number stays as it is, so that wrong input can be tried too.
func international(phone string) string {
	phone = strings.TrimSpace(phone)
	digits := strings.TrimPrefix(strings.NewReplacer(" ", "", ".", "", "-", "").Replace(phone), "+")
	if strings.Trim(digits, "0123456789") != "" {
		return phone
	}
	if rest, ok := strings.CutPrefix(digits, "0"); ok {
		return "84" + rest
	}
	return digits
}

// adminID makes the same decimal id of the same staff name every time.
func adminID(name string) string {
	return fmt.Sprintf("44%017d", sum(name)%1e17)
}

// awaitReply returns when the account has had the last word, or after replyWait.
func (p *Page) awaitReply(ctx context.Context, user string, updates <-chan zalosim.Update) {
	ctx, cancel := context.WithTimeout(ctx, replyWait)
	defer cancel()
	for {
		if m := p.sim.Messages(user); len(m) > 0 && !m[len(m)-1].FromUser {
			return
		}
		select {
		case <-updates:
		case <-p.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// addCitizen adds a person and opens their chat.
func (p *Page) addCitizen(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	words := p.words(r)
	name := strings.Join(strings.Fields(r.PostFormValue("name")), " ")
	if len([]rune(name)) > 60 {
		http.Error(w, words.T("bad_input"), http.StatusBadRequest)
		return
	}
	p.joining.Lock()
	defer p.joining.Unlock()
	if name == "" {
		name = words.T("citizens.default_name", "N", len(p.sim.Users())+1)
	}
	id := fmt.Sprintf("25%017d", rand.Int64N(1e17))
	p.sim.AddUser(zalosim.User{ID: id, Name: name})
	http.Redirect(w, r, p.opt.Prefix+"/u/"+id, http.StatusSeeOther)
}
