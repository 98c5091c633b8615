package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"congdanso/bot/seal"
)

// Config is everything that is set from outside. It is read once, validated as
// a whole, and handed on as values; nothing else looks at the environment.
type Config struct {
	HTTPAddr  string `env:"HTTP_ADDR" envDefault:":8080"`
	PublicURL string `env:"PUBLIC_URL" must:"url"`

	DatabaseURL      string `env:"DATABASE_URL" must:"given"`
	DatabaseOwnerURL string `env:"DATABASE_OWNER_URL"`
	RedisURL         string `env:"REDIS_URL"`

	ZaloAppID         string `env:"ZALO_APP_ID" must:"given"`
	ZaloAppSecret     string `env:"ZALO_APP_SECRET" must:"given"`
	ZaloOAID          string `env:"ZALO_OA_ID" must:"given"`
	ZaloWebhookSecret string `env:"ZALO_WEBHOOK_SECRET" must:"given"`
	ZaloRefreshToken  string `env:"ZALO_REFRESH_TOKEN" must:"given"`
	ZaloRatePerMinute int    `env:"ZALO_RATE_PER_MINUTE" envDefault:"100"`
	ZaloAPIURL        string `env:"ZALO_API_URL" envDefault:"https://openapi.zalo.me" must:"url"`
	ZaloOAuthURL      string `env:"ZALO_OAUTH_URL" envDefault:"https://oauth.zaloapp.com" must:"url"`
	ZaloZNSURL        string `env:"ZALO_ZNS_URL" envDefault:"https://business.openapi.zalo.me" must:"url"`

	ProceduresURL          string `env:"PROCEDURES_URL" must:"url"`
	ProceduresTokenURL     string `env:"PROCEDURES_TOKEN_URL" must:"url"`
	ProceduresClientID     string `env:"PROCEDURES_CLIENT_ID" must:"given"`
	ProceduresClientSecret string `env:"PROCEDURES_CLIENT_SECRET" must:"given"`
	// ProceduresWebhookSecret signs the procedure system's pushes; without it that
	// path does not exist.
	ProceduresWebhookSecret string `env:"PROCEDURES_WEBHOOK_SECRET"`

	DataKey    string `env:"DATA_KEY" must:"key"`
	DataKeyOld string `env:"DATA_KEY_OLD"`

	SMTPURL   string `env:"SMTP_URL"`
	AlertMail string `env:"ALERT_MAIL"`

	ContentDir string `env:"CONTENT_DIR"`
	SendPaused bool   `env:"SEND_PAUSED"`
	TZName     string `env:"TZ_NAME" envDefault:"Asia/Ho_Chi_Minh"`
	PGBinDir   string `env:"PG_BIN_DIR"`
	LogLevel   string `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat  string `env:"LOG_FORMAT" envDefault:"json"`

	dataKey, dataKeyOld []byte
	tz                  *time.Location
	unread              []string // faults found while reading
}

// readConfig reads the settings of vars (the environment), without judging them:
// what cannot be read is for validate to tell, together with the rest.
func readConfig(vars map[string]string) (Config, error) {
	var c Config
	err := env.ParseWithOptions(&c, env.Options{Environment: vars})
	var all env.AggregateError
	if err != nil && !errors.As(err, &all) {
		return c, err
	}
	for _, e := range all.Errors {
		c.unread = append(c.unread, unreadable(e))
	}
	return c, nil
}

// unreadable says what is wrong with a setting that is no number, or no yes or no.
func unreadable(err error) string {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		return err.Error()
	}
	field, _ := reflect.TypeFor[Config]().FieldByName(parse.Name)
	if field.Type == reflect.TypeFor[bool]() {
		return field.Tag.Get("env") + " must be 1 or 0"
	}
	return field.Tag.Get("env") + " must be a whole number"
}

// environment is the process's environment as a map.
func environment() map[string]string { return env.ToMap(os.Environ()) }

// settingsError is one message that names every setting at fault.
func settingsError(faults []string) error {
	return fmt.Errorf("the settings do not allow a start:\n  - %s", strings.Join(faults, "\n  - "))
}

// validate judges all settings at once.
func (c *Config) validate() error {
	faults := c.unread
	fault := func(name, format string, args ...any) {
		faults = append(faults, name+" "+fmt.Sprintf(format, args...))
	}
	v := reflect.ValueOf(c).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, value := f.Tag.Get("env"), ""
		if f.Type.Kind() == reflect.String {
			value = v.FieldByIndex(f.Index).String()
		}
		switch f.Tag.Get("must") {
		case "given", "key":
			if value == "" {
				fault(name, "is not set")
			}
		case "url":
			if value == "" {
				fault(name, "is not set")
			} else if u, err := url.Parse(value); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				fault(name, "is no http(s) address")
			}
		}
	}
	var err error
	if c.DataKey != "" {
		if c.dataKey, err = seal.ParseKey(c.DataKey); err != nil {
			fault("DATA_KEY", "must be %d bytes in base64 (make one with: openssl rand -base64 %d): %v", seal.KeySize, seal.KeySize, err)
		}
	}
	if c.DataKeyOld != "" {
		if c.dataKeyOld, err = seal.ParseKey(c.DataKeyOld); err != nil {
			fault("DATA_KEY_OLD", "must be %d bytes in base64: %v", seal.KeySize, err)
		}
	}
	if c.tz, err = time.LoadLocation(c.TZName); err != nil {
		fault("TZ_NAME", "names no time zone (the usual one is Asia/Ho_Chi_Minh)")
	}
	if c.ZaloRatePerMinute < 1 && len(c.unread) == 0 {
		fault("ZALO_RATE_PER_MINUTE", "must be at least 1")
	}
	if c.DatabaseURL != "" && !strings.HasPrefix(c.DatabaseURL, "postgres://") && !strings.HasPrefix(c.DatabaseURL, "postgresql://") {
		fault("DATABASE_URL", "must begin with postgres://")
	}
	if c.SMTPURL != "" && c.AlertMail == "" {
		fault("ALERT_MAIL", "is not set, though SMTP_URL is: alarms would go nowhere")
	}
	_, bad := c.logHandler()
	faults = append(faults, bad...)
	if len(faults) > 0 {
		return settingsError(faults)
	}
	return nil
}

// setLogs makes slog write as the settings say. Times are UTC.
func (c *Config) setLogs() error {
	h, faults := c.logHandler()
	if len(faults) > 0 {
		return settingsError(faults)
	}
	slog.SetDefault(slog.New(redact{h}))
	return nil
}

func (c *Config) logHandler() (h slog.Handler, faults []string) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		faults = append(faults, "LOG_LEVEL must be debug, info, warn or error")
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.LogFormat {
	case "json":
		h = slog.NewJSONHandler(os.Stderr, opts)
	case "text":
		h = slog.NewTextHandler(os.Stderr, opts)
	default:
		faults = append(faults, "LOG_FORMAT must be json or text")
	}
	return h, faults
}

// encodeKey writes a key as DATA_KEY has it.
func encodeKey(key []byte) string { return base64.StdEncoding.EncodeToString(key) }
