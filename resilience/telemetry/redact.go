package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrorText returns what may be shown of err: its text without the passwords and
// query values of URLs in it, as valid UTF-8 of at most [MaxMessage] bytes.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	return Redact(text(err))
}

// text is err.Error() for errors from anywhere: package fmt survives a panic in it.
func text(err error) string { return fmt.Sprintf("%v", err) }

var (
	// userinfo is the name and the password in //name:password@host. A password may
	// hold any character but those that end the authority of a URL, also an @.
	userinfo = regexp.MustCompile(`//[^\s/?#"']*@`)
	// queryValue is a value in ?key=value&key=value.
	queryValue = regexp.MustCompile(`([?&;][^\s=&;?#"'<>]{1,64}=)[^\s&;#"'<>]+`)
)

// maxRedacted bounds the work on a text of any length.
const maxRedacted = 16 * MaxMessage

// Redact masks the user information and the query values of URLs in s, turns control
// characters into spaces and cuts s to [MaxMessage] bytes of valid UTF-8.
func Redact(s string) string {
	if len(s) > maxRedacted {
		// Half a URL may hide what marks it as one, so the last word goes as a whole.
		s = s[:maxRedacted]
		s = s[:strings.LastIndexAny(s, " \t\r\n")+1] + ellipsis
	}
	if strings.Contains(s, "//") {
		s = userinfo.ReplaceAllString(s, "//***@")
	}
	if strings.ContainsAny(s, "?&;") {
		s = queryValue.ReplaceAllString(s, "$1***")
	}
	return cut(s)
}

const ellipsis = "…"

// cut returns s as one line of at most MaxMessage bytes of valid UTF-8, with an
// ellipsis where something is missing.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= MaxMessage {
		return s
	}
	end := MaxMessage - len(ellipsis)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
