package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each alert has its page, and each page its alert. The page says how urgent it is, and after how long it fires.
func TestRunbooks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(root, "docs", "runbooks")
	overview, err := os.ReadFile(root + "/docs/dashboards.md")
	require.NoError(t, err)
	pages := map[string]bool{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		pages[entry.Name()] = true
	}
	for _, a := range alerts(theRegistry(t)) {
		name := a.name + ".md"
		text, err := os.ReadFile(filepath.Join(dir, name))
		if !assert.NoError(t, err) {
			continue
		}
		delete(pages, name)
		page := string(text)
		assert.True(t, strings.HasPrefix(page, "# "+a.name+"\n"), name)
		when := "at once"
		if a.wait != "" {
			when = "for " + strings.TrimSuffix(a.wait, "m") + " minutes"
		}
		assert.Contains(t, page, fmt.Sprintf("Severity `%s`", a.severity), name)
		assert.Contains(t, page, when, name)
		for _, heading := range []string{
			"What users feel", "First three looks", "Likely causes", "What not to do", "How to see that it is over",
		} {
			assert.Contains(t, page, "\n## "+heading+"\n", name)
		}
		assert.Contains(t, string(overview), fmt.Sprintf("| [%s](runbooks/%s) | `%s` |", a.name, name, a.severity), "docs/dashboards.md")
	}
	assert.Empty(t, pages, "pages without an alert")
}
