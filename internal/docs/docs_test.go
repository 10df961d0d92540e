package docs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository returns the root of the repository. It looks into every folder of it: the
// go command caches the result of a test unless what the test itself has looked at
// has changed, and the compiler runs in a process of its own.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "go.mod"))
	require.NoError(t, filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return err
	}))
	return root
}

// documentation reads README.md, and docs/**/*.md as far as there are any.
func documentation(root string) (pages []*page, err error) {
	p, err := readFile(root, "README.md")
	if err != nil {
		return nil, err
	}
	pages = append(pages, p)
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(file string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(file) != ".md" {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		p, err := readFile(root, filepath.ToSlash(name))
		pages = append(pages, p)
		return err
	})
	return pages, err
}

func readFile(root, name string) (*page, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	return readPage(name, string(text)), nil
}

// checkLinks returns which relative links of pages lead nowhere.
func checkLinks(root string, pages []*page) (problems []string) {
	known := make(map[string]*page)
	for _, p := range pages {
		known[p.path] = p
	}
	for _, p := range pages {
		for _, l := range p.links {
			if why := checkLink(root, p, l.target, known); why != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: the link to %s: %s", p.path, l.line, l.target, why))
			}
		}
	}
	return problems
}

func checkLink(root string, p *page, target string, known map[string]*page) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return "" // not ours to check
	}
	file, anchor, _ := strings.Cut(target, "#")
	name := p.path
	if file != "" {
		name = path.Join(path.Dir(p.path), file)
	}
	switch {
	case strings.HasPrefix(file, "/"):
		return "want a path relative to the page"
	case name == ".." || strings.HasPrefix(name, "../"):
		return "it leaves the repository"
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
		return "there is no such file"
	}
	if anchor == "" || path.Ext(name) != ".md" {
		return ""
	}
	to := known[name]
	if to == nil {
		var err error
		if to, err = readFile(root, name); err != nil {
			return err.Error()
		}
	}
	if !to.anchors[anchor] {
		return "there is no such heading"
	}
	return ""
}

func TestDocumentation(t *testing.T) {
	t.Parallel()
	root := repository(t)
	pages, err := documentation(root)
	require.NoError(t, err)
	for _, p := range pages {
		for _, problem := range p.problems {
			t.Error(problem)
		}
	}
	for _, problem := range compile(t, root, pages) {
		t.Error(problem)
	}
	for _, name := range []string{"CHANGELOG.md", "CONTRIBUTING.md"} {
		p, err := readFile(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		pages = append(pages, p)
	}
	for _, problem := range checkLinks(root, pages) {
		t.Error(problem)
	}
}

func TestDocumentationFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	_, err := documentation(root)
	require.ErrorIs(t, err, fs.ErrNotExist, "README.md is required")

	write := func(name string) {
		file := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("# Title\n"), 0o600))
	}
	write("README.md")
	pages, err := documentation(root)
	require.NoError(t, err)
	require.Len(t, pages, 1)

	write("docs/a/b.md")
	write("docs/c.md")
	write("docs/d.txt")
	pages, err = documentation(root)
	require.NoError(t, err)
	names := make([]string, len(pages))
	for i, p := range pages {
		names[i] = p.path
	}
	require.Equal(t, []string{"README.md", "docs/a/b.md", "docs/c.md"}, names)
}

func TestCheckLinks(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "docs"), 0o755))
	for _, name := range []string{"README.md", "docs/page.md", "docs/code.go", "other.md"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte("# Other heading\n"), 0o600))
	}
	for link, want := range map[string]string{
		"https://example.com/nothing": "",
		"mailto:nobody@example.com":   "",
		"page.md":                     "",
		"../README.md#readme-heading": "",
		"../docs":                     "",
		"code.go#L3":                  "",
		"#own-heading":                "",
		"../other.md#other-heading":   "",

		"missing.md":                 "there is no such file",
		"page.md#missing":            "there is no such heading",
		"#missing":                   "there is no such heading",
		"../README.md#other-heading": "there is no such heading",
		"../other.md#missing":        "there is no such heading",
		"../../outside":              "it leaves the repository",
		"/docs/page.md":              "want a path relative to the page",
	} {
		problems := checkLinks(root, []*page{
			readPage("README.md", "# README heading\n"),
			readPage("docs/page.md", "# Own heading\n\nSome [text]("+link+").\n"),
		})
		if want == "" {
			require.Empty(t, problems, link)
			continue
		}
		require.Equal(t, []string{"docs/page.md:3: the link to " + link + ": " + want}, problems)
	}
}
