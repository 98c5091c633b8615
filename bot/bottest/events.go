package bottest

import (
	"fmt"
	"strings"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// events are the lines in parentheses, written with or without accents, and what
// arrives for them.
var events = map[string]func(text string) bot.Body{
	"quan tam":         func(string) bot.Body { return bot.Followed{Source: "oa_profile"} },
	"mo chat":          func(string) bot.Body { return bot.ChatOpened{} },
	"anh":              media(bot.MediaImage),
	"anh dong":         media(bot.MediaGIF),
	"nhan dan":         media(bot.MediaSticker),
	"thoai":            media(bot.MediaAudio),
	"video":            media(bot.MediaVideo),
	"tep":              media(bot.MediaFile),
	"duong dan":        media(bot.MediaLink),
	"danh thiep":       media(bot.MediaCard),
	"dang la":          media(bot.MediaOther),
	"vi tri":           func(string) bot.Body { return bot.Location{Latitude: "20.25", Longitude: "105.97"} },
	"yeu cau tai zalo": func(string) bot.Body { return bot.Withdrawn{} },
}

func media(kind bot.MediaKind) func(string) bot.Body {
	return func(text string) bot.Body { return bot.Media{Kind: kind, Text: text} }
}

// body is the event a resident's line stands for:
//
//	text              typed
//	[Title]           a tap on the newest button of that title
//	(ảnh) caption     one of events
//	(biểu mẫu) name; phone
//	(hẹn) flow.action:arg    a promise falls due
func (p *player) body(said string) (bot.Body, error) {
	if title, ok := strings.CutPrefix(said, "["); ok && strings.HasSuffix(title, "]") {
		payload, err := p.tap(strings.TrimSuffix(title, "]"))
		return bot.Text{Text: payload}, err
	}
	name, ok := strings.CutPrefix(said, "(")
	if !ok {
		return bot.Text{Text: said}, nil
	}
	name, text, _ := strings.Cut(name, ")")
	text = strings.TrimSpace(text)
	name = fold.Fold(name)
	switch name {
	case "bieu mau":
		who, phone, _ := strings.Cut(text, ";")
		return bot.InfoSubmitted{Name: strings.TrimSpace(who), Phone: strings.TrimSpace(phone)}, nil
	case "hen":
		flow, action, arg, ok := bot.ParsePayload("#" + text)
		if !ok {
			return nil, fmt.Errorf("not flow.action:arg")
		}
		return bot.Due{Flow: flow, Action: action, Arg: arg}, nil
	case "trong":
		return bot.Text{}, nil
	}
	if event := events[name]; event != nil {
		return event(text), nil
	}
	return nil, fmt.Errorf("no event (%s)", name)
}

// tap is the payload of the newest button with that title, in this message or an
// older one.
func (p *player) tap(title string) (string, error) {
	for i := len(p.sent) - 1; i >= 0; i-- {
		for _, c := range p.sent[i].Choices {
			if c.Title == title {
				return c.Payload, nil
			}
		}
	}
	return "", fmt.Errorf("no button says %q", title)
}
