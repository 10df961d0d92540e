package telemetry_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for in, want := range map[string]string{
		"":                   "",
		"connection refused": "connection refused",
		`Get "https://user:secret@host/path": EOF`:                           `Get "https://***@host/path": EOF`,
		`Get "https://token@host/path": EOF`:                                 `Get "https://***@host/path": EOF`,
		"postgres://u:p@ss@w0rd@host:5432/db":                                "postgres://***@host:5432/db",
		"amqp://u:p%2Fw@host":                                                "amqp://***@host",
		"redis://:secret@127.0.0.1:6379/0 and http://a:b@c":                  "redis://***@127.0.0.1:6379/0 and http://***@c",
		"https://host/path?api_key=secret&page=2#top":                        "https://host/path?api_key=***&page=***#top",
		"https://host?a=1;b=2":                                               "https://host?a=***;b=***",
		"https://host/?empty=&x=y":                                           "https://host/?empty=&x=***",
		`Post "https://h/v1?key=AIza-secret": context deadline exceeded`:     `Post "https://h/v1?key=***": context deadline exceeded`,
		"is it a query? no = sign":                                           "is it a query? no = sign",
		"a@b.example is no URL":                                              "a@b.example is no URL",
		"https://host/@user":                                                 "https://host/@user",
		"line\nbreak\x1b[31m red\x00":                                        "line break [31m red ",
		"bad \xff\xfe bytes":                                                 "bad ? bytes",
		long:                                                                 long[:253] + "…",
		strings.Repeat("é", 200):                                             strings.Repeat("é", 126) + "…",
		"https://u:" + strings.Repeat("p", 5000) + "@host":                   "…",
		"seen https://u:" + strings.Repeat("p", 5000) + "@host":              "seen …",
		"https://h/?k=" + strings.Repeat("s", 5000):                          "…",
		strings.Repeat("y", 250) + " https://u:" + strings.Repeat("p", 4000): strings.Repeat("y", 250) + " …",
	} {
		assert.Equal(t, want, telemetry.Redact(in), "%.80q", in)
	}
}

func TestErrorTextSurvivesAnything(t *testing.T) {
	t.Parallel()
	assert.Empty(t, telemetry.ErrorText(nil))
	assert.Equal(t, "plain", telemetry.ErrorText(errors.New("plain")))
	assert.Contains(t, telemetry.ErrorText(panicking{}), "PANIC")
	assert.NotPanics(t, func() { telemetry.ErrorText((*pointer)(nil)) })
}

type panicking struct{}

func (panicking) Error() string { panic("in Error") }

type pointer struct{ text string }

func (p *pointer) Error() string { return p.text }

// Whatever the text, what is shown is one line of bounded, valid UTF-8 without the
// secret of a URL in it.
func FuzzRedact(f *testing.F) {
	f.Add("Get ", "secret", " failed")
	f.Add("", "p@ss:w?rd", "//")
	f.Add("//?=&\xff\n", "a", strings.Repeat("é", 300))
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		shown := telemetry.Redact(before + secret + after)
		if len(shown) > telemetry.MaxMessage || !utf8.ValidString(shown) || strings.ContainsAny(shown, "\n\r\x1b\x00") {
			t.Fatalf("%q", shown)
		}
		if again := telemetry.Redact(shown); len(again) > len(shown)+len("***") {
			t.Fatalf("%q became %q", shown, again)
		}
		if secret == "" || strings.ContainsAny(secret, " \t\r\n\v\f/?#&;\"'<>=*…") || !utf8.ValidString(secret) ||
			strings.Contains("https: password host Get key page", secret) || len(secret) < 6 {
			return
		}
		shown = telemetry.Redact("Get https://user:" + secret + "@host/path?key=" + secret + "&page=" + secret + ": failed")
		if strings.Contains(shown, secret) {
			t.Fatalf("%q is in %q", secret, shown)
		}
	})
}
