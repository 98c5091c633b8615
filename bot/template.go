package bot

// Template is a message whose words Zalo has approved beforehand and which needs
// no recent interaction: it goes by the person's id, or by their phone. Unlike
// Message it carries only the values that fill the words.
type Template struct {
	ID   string            `json:"id"`   // Zalo's id of the template
	Data map[string]string `json:"data"` // values by the template's own parameter names
	// Phone (84…), when set, makes it go by phone instead of by the person's id.
	Phone string `json:"phone,omitempty"`
	// TrackingID comes back in the receipt of one sent by phone: at most 48
	// characters, never a person's data.
	TrackingID string `json:"tracking_id,omitempty"`
}
