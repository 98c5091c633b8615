package bot

import (
	"encoding/json"
	"fmt"
	"time"
)

// Conversation is a citizen's place in a dialogue. It is stored sealed, as JSON.
type Conversation struct {
	Flow     string          `json:"flow,omitempty"` // flow the citizen is in; empty: none
	Step     string          `json:"step,omitempty"` // the flow's own name for where it stands
	Version  int             `json:"version,omitempty"`
	State    json.RawMessage `json:"state,omitempty"` // the flow's typed state
	Question *Question       `json:"question,omitempty"`
	// Lost counts consecutive messages nobody understood, so that no two
	// fallbacks are the same.
	Lost int `json:"lost,omitempty"`
	// WaitingForPerson is when the citizen asked for a person; codes are still
	// answered meanwhile.
	WaitingForPerson time.Time `json:"waiting_for_person,omitzero"`
	UpdatedAt        time.Time `json:"updated_at,omitzero"`
}

// Question is what the last message asked: a typed number, letter or words that
// fit one of its choices means that choice.
type Question struct {
	Choices []Choice `json:"choices"`
	// Name marks a step that asks for a name, where no single word acts, for
	// Dung, Huy and Thi are names.
	Name bool `json:"name,omitempty"`
}

// Stale is how long a conversation keeps its place. Left longer, it starts
// afresh, and keeps what was given.
const Stale = 24 * time.Hour

// LoadState reads a flow's typed state. A state of another version, or one that
// does not decode, yields the zero state and ok=false: the flow restarts kindly.
func LoadState[S any](c *Conversation, flow string, version int) (s S, ok bool) {
	if c.Flow != flow || c.Version != version || len(c.State) == 0 {
		return s, false
	}
	if err := json.Unmarshal(c.State, &s); err != nil {
		var zero S
		return zero, false
	}
	return s, true
}

// Enter puts the conversation into a step of flow with typed state.
func Enter[S any](c *Conversation, flow, step string, version int, state S) error {
	raw, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode state of %s.%s: %w", flow, step, err)
	}
	c.Flow, c.Step, c.Version, c.State = flow, step, version, raw
	return nil
}

// Leave ends the flow the conversation is in.
func (c *Conversation) Leave() {
	c.Flow, c.Step, c.Version, c.State, c.Question = "", "", 0, nil, nil
}
