// Package mail sends mail to the operators over SMTP.
package mail

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Sender sends plain-text mails from one address to another.
type Sender struct {
	client   *gomail.Client
	from, to string
}

// New reads smtp://user:password@host:port?from=address (smtps:// for TLS from
// the first byte; STARTTLS is used where the server offers it). Without from the
// mail comes from the address it goes to.
func New(rawURL, to string) (*Sender, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" {
		return nil, fmt.Errorf("SMTP_URL is no smtp:// or smtps:// address")
	}
	opts := []gomail.Option{gomail.WithTimeout(15 * time.Second), gomail.WithTLSPolicy(gomail.TLSOpportunistic)}
	if u.Scheme == "smtps" {
		opts = append(opts, gomail.WithSSLPort(false))
	}
	if p := u.Port(); p != "" {
		port, err := strconv.Atoi(p)
		if err != nil {
			return nil, fmt.Errorf("SMTP_URL: port: %w", err)
		}
		opts = append(opts, gomail.WithPort(port))
	}
	if password, ok := u.User.Password(); ok {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(u.User.Username()), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(u.Hostname(), opts...)
	if err != nil {
		return nil, fmt.Errorf("smtp client: %w", err)
	}
	from := u.Query().Get("from")
	if from == "" {
		from = to
	}
	return &Sender{client: client, from: from, to: to}, nil
}

// Send sends one mail.
func (s *Sender) Send(ctx context.Context, subject, body string) error {
	m := gomail.NewMsg()
	if err := m.From(s.from); err != nil {
		return fmt.Errorf("mail from: %w", err)
	}
	if err := m.To(s.to); err != nil {
		return fmt.Errorf("mail to: %w", err)
	}
	m.Subject(subject)
	m.SetBodyString(gomail.TypeTextPlain, body)
	if err := s.client.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}
