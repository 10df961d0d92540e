package web_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/web"
)

// A report in a file shows what the page shows, whatever the names of its policies.
func TestReportInAFile(t *testing.T) {
	b := startBrowser(t)
	r := report(t, strings.Replace(outage, "name: three retries", `name: "</script><b>three</b>"`, 1))
	name := filepath.Join(t.TempDir(), "report.html")
	file, err := os.Create(name)
	require.NoError(t, err)
	require.NoError(t, web.WriteReport(file, r))
	require.NoError(t, file.Close())

	b.as(looks[0])
	b.open("file://" + name)
	b.shows(2.0, `document.querySelectorAll("#figures tbody tr").length`)
	assert.Contains(t, b.text("#sentence"), "</script><b>three</b>: the callee gets")
	assert.Contains(t, b.text("#broken"), r.Broken[0])
	b.shows(true, `document.querySelectorAll("#charts svg").length > 2`)
	for _, l := range looks {
		b.as(l)
		b.picture("report-" + l.String())
	}
	b.clean()
}
