// Package secret keeps API keys and passwords of configurations out of logs, errors, traces and
// files.
package secret

import (
	"fmt"
	"log/slog"
)

// A Secret is a text that no form of printing shows: neither package fmt nor slog, JSON or
// YAML, also where it lies deep in a structure that is printed. The zero Secret is none. It is
// safe for use by several goroutines at once, but UnmarshalText.
//
//	Config{APIKey: secret.New(os.Getenv("API_KEY"))}
type Secret struct {
	text *string // behind a pointer, which is all that fmt shows of unexported fields
}

// New returns text as a Secret. An empty text is none.
func New(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Mask stands for a secret where it is printed.
const Mask = "***"

// Reveal returns the text itself, and "" if there is none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns [Mask] for a secret, and "" if there is none.
func (s Secret) String() string {
	if s.text == nil {
		return ""
	}
	return Mask
}

// GoString returns what String does.
func (s Secret) GoString() string { return s.String() }

// Format prints what String returns, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements [encoding.TextMarshaler] for JSON, YAML and the like: it writes what
// String returns.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. [Mask] is no secret: a configuration
// that was written and read again has lost it.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == Mask {
		return fmt.Errorf("secret: %s is not allowed: want the secret itself, which is never written", Mask)
	}
	*s = New(string(text))
	return nil
}
