// Package flows lists the channel's dialogues. Each stands in a package of its
// own, with its steps, its state and its content keys; adding one means adding a
// folder, its content, and a line here.
package flows

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"congdanso/bot"
	"congdanso/bot/citizen"
	botdossier "congdanso/bot/dossier"
	"congdanso/content"
	"congdanso/flows/dossier"
	"congdanso/flows/elsewhere"
	"congdanso/flows/human"
	"congdanso/flows/language"
	"congdanso/flows/menu"
	"congdanso/flows/notices"
	"congdanso/flows/privacy"
	"congdanso/flows/stop"
)

// Deps is what the dialogues need from outside.
type Deps struct {
	Content  *content.Library
	Dossiers dossier.Dossiers // *dossier.Service of bot/dossier
	Citizens interface {      // *citizen.Store
		Overview(ctx context.Context, who bot.CitizenID) (citizen.Overview, error)
	}
	Pushes  notices.Pushes  // push.Reader of bot/push
	Notices notices.Notices // *notice.Store
	Units   notices.Units   // *unit.Units
	// Night is between which minutes of the local day only urgent pushes go
	// (push.Settings.Night of the settings in force).
	Night func() (from, to int)
	// MessageDays is how long message texts are kept, in days; 0 means 90.
	MessageDays int
	// About is a keyed hash of a dossier's code, which rests beside messages that
	// wait to be sent, so that an older status can give way to a newer one. Nil
	// means one of this process's own: then only its own messages give way.
	About func(code string) string
	// Receipt makes the code an erasure leaves behind; nil means a random one.
	Receipt func() string
}

// All returns every dialogue of the channel.
func All(d Deps) []bot.Flow {
	days := d.MessageDays
	if days == 0 {
		days = 90
	}
	province := d.Content.Province()
	items := func(name string) (list []menu.Item) {
		for _, item := range d.Content.Menu(name) {
			list = append(list, menu.Item(item))
		}
		return list
	}
	var topics []notices.Topic
	var named []privacy.Topic
	for _, topic := range d.Content.Topics() {
		name := content.TopicKey(topic.Key, "name")
		named = append(named, privacy.Topic{Key: topic.Key, Name: name})
		topics = append(topics, notices.Topic{Key: topic.Key, Places: topic.Places, Name: name,
			About: content.TopicKey(topic.Key, "about"), Words: content.TopicKey(topic.Key, "words")})
	}
	if d.About == nil {
		d.About = processHash()
	}
	opener := menu.New(items("main"), items("more"))
	return []bot.Flow{
		opener,
		language.New(opener),
		dossier.New(d.Dossiers, d.Citizens, dossier.Issuers{
			Prefixes: botdossier.Prefixes{Own: province.Dossier.OwnPrefixes, National: province.Dossier.NationalPrefixes},
			Name:     province.Issuer,
		}, func(code botdossier.Code) string { return d.About(string(code)) }),
		notices.New(d.Pushes, d.Notices, d.Units, topics, d.Night),
		privacy.New(d.Citizens, d.Dossiers, d.Notices, named, days, d.Receipt),
		human.New(),
		elsewhere.New(),
		stop.New(),
	}
}

// processHash is a keyed hash whose key nobody keeps.
func processHash() func(string) string {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return func(s string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(s))
		return hex.EncodeToString(mac.Sum(nil)[:16])
	}
}
