package content

import (
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"unicode/utf8"

	"congdanso/bot"
	"congdanso/bot/fold"
)

// Topic is something residents can ask to be told about.
type Topic struct {
	Key    string `toml:"key"`
	Places bool   `toml:"places"` // differs from commune to commune
}

const topicsFile = "topics.toml"

// Topics are the topics, in the order in which they are offered.
func (l *Library) Topics() []Topic { return l.topics }

func (l *Library) loadTopics(fsys fs.FS) error {
	raw, err := fs.ReadFile(fsys, topicsFile)
	if err != nil {
		return fmt.Errorf("read %s: %w", topicsFile, err)
	}
	var file struct {
		Topics []Topic `toml:"topic"`
	}
	if err := decodeStrict(raw, &file); err != nil {
		return fmt.Errorf("parse %s: %w", topicsFile, err)
	}
	l.topics = file.Topics
	return nil
}

// TopicKey is the key of a topic's text: its "name", what it is "about", or the
// "words" by which people name it.
func TopicKey(topic, what string) string {
	return strings.Join([]string{"notices", "topic", topic, what}, ".")
}

var topicForm = regexp.MustCompile(`^[a-z][a-z_]*$`)

// mostTopics is how many topics one message can list.
const mostTopics = 12

// checkTopics tells topics that cannot be offered, or told from each other.
func (l *Library) checkTopics() []Problem {
	var problems []Problem
	tell := func(lang, key, format string, args ...any) {
		problems = append(problems, Problem{File: topicsFile, Lang: lang, Key: key, What: fmt.Sprintf(format, args...)})
	}
	if len(l.topics) == 0 || len(l.topics) > mostTopics {
		tell("", "", "%d topics; one message lists 1 to %d", len(l.topics), mostTopics)
	}
	seen := map[string]bool{}
	for _, topic := range l.topics {
		if !topicForm.MatchString(topic.Key) {
			tell("", topic.Key, "a key is small letters")
		}
		if seen[topic.Key] {
			tell("", topic.Key, "stands twice")
		}
		seen[topic.Key] = true
	}
	for _, lang := range Languages {
		meant := map[string]string{}
		for _, topic := range l.topics {
			for _, what := range []string{"name", "about", "words"} {
				if _, ok := l.messages[lang][TopicKey(topic.Key, what)]; !ok {
					tell(lang, topic.Key, "no text %q", TopicKey(topic.Key, what))
				}
			}
			name := l.Text(lang, TopicKey(topic.Key, "name"), nil)
			if n := utf8.RuneCountInString(name); n > bot.MaxTitle {
				tell(lang, topic.Key, "name %q has %d characters; phones show %d", name, n, bot.MaxTitle)
			}
			words := l.Text(lang, TopicKey(topic.Key, "words"), nil)
			for _, word := range append(strings.Split(words, ","), name) {
				word = fold.Tone(word)
				if other := meant[word]; word != "" && other != "" && other != topic.Key {
					tell(lang, topic.Key, "%q also means %s", word, other)
				}
				meant[word] = topic.Key
			}
		}
	}
	return problems
}
