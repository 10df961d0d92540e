package telemetry

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName bounds the length of a name in bytes.
const maxName = 128

// CleanName makes a name that may be any text into one that ValidateName accepts.
func CleanName(name string) string {
	if ValidateName(name) == nil {
		return name
	}
	name = strings.ToValidUTF8(name[:min(len(name), maxName)], "")
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, name))
	return cmp.Or(name, Other)
}

// ValidateName returns an error unless name may be that of a policy or a budget: 1 to
// 128 bytes of printable UTF-8. What is not UTF-8 would make exporters reject all metrics
// of a service.
func ValidateName(name string) error {
	notPrintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if strings.TrimSpace(name) != "" && len(name) <= maxName && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, notPrintable) {
		return nil
	}
	shown := strconv.Quote(name[:min(len(name), maxName)])
	return fmt.Errorf("name: %s is not allowed: want 1 to %d bytes of printable UTF-8", shown, maxName)
}
