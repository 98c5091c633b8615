package redis

import (
	"context"
	"strings"
	"time"

	"congdanso/bot"
)

const wakePrefix = "congdanso:wake:"

// listener hears the wake-ups of a channel.
type listener struct {
	channel string
	wake    func([]bot.CitizenID)
}

// Notify tells the other instances that there is something to do for citizens.
// It does not wait, and it may be lost: whoever listens polls too. The ids are
// Zalo's numbers for people, nothing else of them.
func (r *Redis) Notify(channel string, who []bot.CitizenID) {
	if !r.Up() || len(who) == 0 {
		return
	}
	lines := make([]string, len(who))
	for i, id := range who {
		lines[i] = id.OA + " " + id.User
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		r.note(ctx, r.client.Publish(ctx, wakePrefix+channel, strings.Join(lines, "\n")).Err())
	}()
}

// Listen has wake called, while Run runs, with what Notify tells on channel. It
// must be called before Run, and wake must not block.
func (r *Redis) Listen(channel string, wake func([]bot.CitizenID)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listeners = append(r.listeners, listener{channel, wake})
}

// listen serves the listeners; the client subscribes again by itself when the
// server was away.
func (r *Redis) listen(ctx context.Context) {
	r.mu.Lock()
	wakes := make(map[string][]func([]bot.CitizenID))
	var channels []string
	for _, l := range r.listeners {
		if wakes[wakePrefix+l.channel] == nil {
			channels = append(channels, wakePrefix+l.channel)
		}
		wakes[wakePrefix+l.channel] = append(wakes[wakePrefix+l.channel], l.wake)
	}
	r.mu.Unlock()
	if len(channels) == 0 {
		return
	}
	for ctx.Err() == nil {
		sub := r.client.Subscribe(ctx, channels...)
		stop := context.AfterFunc(ctx, func() { sub.Close() }) // a waiting read does not look at ctx
		for ctx.Err() == nil {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				break
			}
			who := parse(m.Payload)
			for _, wake := range wakes[m.Channel] {
				wake(who)
			}
		}
		stop()
		sub.Close()
		select {
		case <-time.After(beatEvery):
		case <-ctx.Done():
		}
	}
}

func parse(payload string) []bot.CitizenID {
	var who []bot.CitizenID
	for line := range strings.SplitSeq(payload, "\n") {
		if oa, user, ok := strings.Cut(line, " "); ok && oa != "" {
			who = append(who, bot.CitizenID{OA: oa, User: user})
		}
	}
	return who
}
