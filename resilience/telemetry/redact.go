package telemetry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrorText returns what may be shown of err: its text without the user information,
// queries and fragments of URLs in it, as one line of at most [MaxMessage] bytes.
func ErrorText(err error) string {
	if err == nil {
		return ""
	}
	return Redact(text(err))
}

// text is err.Error() for errors from anywhere: package fmt survives a panic in it.
func text(err error) string { return fmt.Sprintf("%v", err) }

var (
	// word is what a URL is looked for in: something in quotes with // in it, white space
	// and all, as net/url quotes what it cannot parse; or a run of anything but white
	// space. What is masked goes to the end of its word: quotes and brackets may be part
	// of a secret.
	word = regexp.MustCompile(`"[^"]*(?://|\\/\\/)[^"]*"|\S+`)
	// query is a query of what may be a path alone.
	query = regexp.MustCompile(`\?[^\s=]*=\S*`)
	// slashes begin the authority of a URL, also as JSON may have them.
	slashes = regexp.MustCompile(`//|\\/\\/`)
)

const mask = "***"

// maskURL masks the user information, the query and the fragment of a URL in a word.
func maskURL(w string) string {
	at := slashes.FindStringIndex(w)
	if q := query.FindStringIndex(w); q != nil && (at == nil || q[0] < at[0]) {
		return w[:q[0]] + "?" + mask + trailer(w)
	}
	if at == nil {
		return w
	}
	head, rest := w[:at[1]], w[at[1]:]
	user, end := strings.LastIndexByte(rest, '@'), strings.IndexAny(rest, "?#")
	switch {
	case end >= 0 && user > end: // a password with a ? in it, or a query with an @
		return head + mask + trailer(rest)
	case end >= 0:
		rest = rest[:end+1] + mask + trailer(rest[end:])
	}
	if user >= 0 {
		rest = mask + rest[user:]
	}
	return head + rest
}

// trailer returns the punctuation at the end of a word, such as the quote and the colon
// behind a URL in an error of net/http.
func trailer(w string) string {
	end := w[len(strings.TrimRight(w, `"':,;.)]}>`)):]
	return end[max(0, len(end)-2):] // more may be part of a secret
}

// maxRedacted bounds the work on a text of any length.
const maxRedacted = 16 * MaxMessage

// Redact masks the user information, queries and fragments of URLs in s, turns control
// characters into spaces and cuts s to [MaxMessage] bytes of valid UTF-8. Where it is
// not clear what is a secret it masks too much rather than too little.
func Redact(s string) string {
	if len(s) > maxRedacted {
		// Half a URL may hide what marks it as one, so the last word goes as a whole.
		s = s[:maxRedacted]
		s = s[:strings.LastIndexAny(s, " \t\r\n")+1] + ellipsis
	}
	if strings.ContainsAny(s, "/?") {
		s = word.ReplaceAllStringFunc(s, maskURL)
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
