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
		"https://host/path?api_key=secret&page=2#top":                        "https://host/path?***",
		"https://host?a=1;b=2":                                               "https://host?***",
		"https://host/?empty=&x=y":                                           "https://host/?***",
		`Post "https://h/v1?key=AIza-secret": context deadline exceeded`:     `Post "https://h/v1?***": context deadline exceeded`,
		"is it a query? no = sign":                                           "is it a query? no = sign",
		"a@b.example is no URL":                                              "a@b.example is no URL",
		"https://host/@user":                                                 "https://***@user",
		`Get "http://h/x?token=ab'SECRET": EOF`:                              `Get "http://h/x?***": EOF`,
		"http://h/x?sig=ab;SECRET":                                           "http://h/x?***",
		"http://h/x?SECRET":                                                  "http://h/x?***",
		"dial postgres://app:pa/ss@db:5432/x":                                "dial postgres://***@db:5432/x",
		"dial postgres://app:pa'ss@db/x, then":                               "dial postgres://***@db/x, then",
		"http://h/#access_token=SECRET":                                      "http://h/#***",
		`{"u":"https:\/\/app:SECRET@h"}`:                                     `{"u":"https:\/\/***@h"}`,
		"GET /x?token=SECRET failed":                                         "GET /x?*** failed",
		"/login?password=hunter2&redirect=https://host/x":                    "/login?***",
		"GET /cb?code=hunter2&next=//host/x: 500":                            "GET /cb?***: 500",
		`{"u":"https:\/\/user:hunter2@h","v":"http://b"}`:                    `{"u":"https:\/\/***@h","v":"http://b"}`,
		`parse "https://user:my hunter2@host/": net/url: invalid userinfo`:   `parse "https://***@host/": net/url: invalid userinfo`,
		`Get "http://h/?token=abc hunter2": dial tcp: refused`:               `Get "http://h/?***": dial tcp: refused`,
		"https://host/?email=a@SECRET: failed":                               "https://***: failed",
		"dial amqp://u:p?ss@host, then":                                      "dial amqp://***, then",
		"what? why=because":                                                  "what? why=because",
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
		if strings.ContainsAny(secret, " \t\r\n\v\f*…") || !utf8.ValidString(secret) || len(secret) < 6 ||
			strings.Contains("Get https://***@host/path?***: failed", secret) ||
			strings.Trim(secret, "\"':,;.)]}>@") == "" {
			return
		}
		shown = telemetry.Redact("Get https://user:" + secret + "@host/path?key=" + secret + "&page=" + secret + ": failed")
		if strings.Contains(shown, secret) {
			t.Fatalf("%q is in %q", secret, shown)
		}
	})
}
