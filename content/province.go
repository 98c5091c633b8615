package content

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/BurntSushi/toml"
)

// Province is the province pack: what the texts say about the province, and
// what only the province can decide about its dossiers. An empty fact is one
// the province has not given; the line that needs it is left out.
type Province struct {
	// Facts are what texts quote as ‹name›, by language and name.
	Facts map[string]map[string]string `toml:"facts"`
	// Dossier is what the look-up of dossiers must know.
	Dossier DossierPack `toml:"dossier"`
	// Zalo is how Zalo knows the province.
	Zalo ZaloPack `toml:"zalo"`
	// Sample is true where facts were filled in from the sample pack.
	Sample bool `toml:"-"`
}

// DossierPack is what only the province knows of its dossiers.
type DossierPack struct {
	// OwnPrefixes are the first groups of codes that the province's own offices
	// issue, today's and those of the provinces it was made of.
	OwnPrefixes []string `toml:"own_prefixes"`
	// NationalPrefixes are those of the national public service portal itself.
	NationalPrefixes []string `toml:"national_prefixes"`
	// PrivateProcedures are the national codes of procedures whose name is
	// nobody else's business: notices name the dossier's code only.
	PrivateProcedures []string `toml:"private_procedures"`
	// Statuses map a status as the procedure system names it to its national
	// number (1 to 10).
	Statuses map[string]int `toml:"statuses"`
	// Issuers name who issues codes of a foreign prefix, by prefix and language.
	Issuers map[string]map[string]string `toml:"issuers"`
}

// ZaloPack is how Zalo knows the province.
type ZaloPack struct {
	// Cities are the numbers of the province in Zalo's own list, which is older than
	// the mergers: one for each province it was made of.
	Cities []int `toml:"zalo_cities"`
}

// requiredFacts are those without which the channel cannot say whose it is.
var requiredFacts = []string{"channel", "province", "operator"}

// optionalFacts may be unknown.
var optionalFacts = []string{
	"hotline", "hotline_hours", "site", "offices_url", "reception", "duty_hours", "backup_days",
}

func loadProvince(fsys fs.FS, o options) (Province, error) {
	var p Province
	raw, err := fs.ReadFile(fsys, "province.toml")
	if err != nil {
		return p, fmt.Errorf("read province.toml: %w", err)
	}
	if err := decodeStrict(raw, &p); err != nil {
		return p, fmt.Errorf("parse province.toml: %w", err)
	}
	if !o.sample {
		return p, nil
	}
	raw, err = fs.ReadFile(fsys, "province.sample.toml")
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read province.sample.toml: %w", err)
	}
	var sample Province
	if err := decodeStrict(raw, &sample); err != nil {
		return p, fmt.Errorf("parse province.sample.toml: %w", err)
	}
	for lang, facts := range sample.Facts {
		for name, value := range facts {
			if p.Facts[lang][name] == "" {
				p.Facts[lang][name] = value
				p.Sample = true
			}
		}
	}
	return p, nil
}

// decodeStrict refuses keys nobody reads, for a misspelt fact is a line that
// silently stays away.
func decodeStrict(raw []byte, v any) error {
	meta, err := toml.Decode(string(raw), v)
	if err != nil {
		return err
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return fmt.Errorf("nobody reads %v", extra)
	}
	return nil
}

// facts are all facts by language, with those made from settings and other parts
// of the pack (privacy_url, own_prefixes). Every known name is there, empty where
// the province has given nothing.
func (p Province) facts(publicURL string) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range Languages {
		f := map[string]string{}
		for _, names := range [][]string{requiredFacts, optionalFacts} {
			for _, name := range names {
				f[name] = strings.TrimSpace(p.Facts[lang][name])
			}
		}
		f["own_prefixes"] = enumerate(p.Dossier.OwnPrefixes, p.Facts[lang]["or"])
		f["privacy_url"] = ""
		if publicURL != "" {
			f["privacy_url"] = publicURL + "/privacy"
		}
		all[lang] = f
	}
	return all
}

// Issuer names who issues codes that begin with prefix ("G22"), in lang; empty
// when the pack does not know.
func (p Province) Issuer(lang, prefix string) string {
	return p.Dossier.Issuers[prefix][lang]
}

// enumerate writes a list as people say it: "H42, H40 or H25".
func enumerate(items []string, or string) string {
	if len(items) < 2 || or == "" {
		return strings.Join(items, ", ")
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " " + or + " " + items[last]
}

// expand puts facts in the place of their ‹names› and leaves out every line that
// needs a fact nobody has given. Names no fact has are returned.
func expand(text string, facts map[string]string) (string, []string) {
	if !strings.Contains(text, "‹") {
		return text, nil
	}
	var kept, unknown []string
lines:
	for _, line := range strings.Split(text, "\n") {
		var b strings.Builder
		for {
			before, rest, found := strings.Cut(line, "‹")
			b.WriteString(before)
			if !found {
				break
			}
			name, after, closed := strings.Cut(rest, "›")
			value, known := facts[name]
			if !closed || !known {
				unknown = append(unknown, name)
			}
			if value == "" {
				continue lines
			}
			b.WriteString(value)
			line = after
		}
		kept = append(kept, b.String())
	}
	return strings.Join(kept, "\n"), unknown
}
