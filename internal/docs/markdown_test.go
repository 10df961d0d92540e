package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// A page is what matters here of a Markdown file.
type page struct {
	path     string // from the root of the repository, with slashes
	blocks   []block
	givens   []given // of the whole page
	links    []link
	anchors  map[string]bool
	problems []string // in its Markdown
}

// A block is a fenced block of code.
type block struct {
	path    string
	line    int    // of the first line of code
	info    string // what stands behind the opening fence
	code    string
	givens  []given
	markers []string // other comments before it
}

// A given is Go code that a block presupposes.
type given struct {
	path string
	line int
	code string
}

// A link leads from a line of a page to a target.
type link struct {
	line   int
	target string
}

var (
	fenceLine   = regexp.MustCompile("^([ \t]*)(`{3,}|~{3,})[ \t]*([^`]*)$")
	hiddenFence = regexp.MustCompile("^[ \t]*(?:>|[-*+][ \t]|\\d+[.)][ \t])[ \t>]*(?:`{3,}|~{3,})[ \t]*go\\b")
	headingLine = regexp.MustCompile(`^#{1,6}[ \t]+(.*?)[ \t]*#*$`)
	anchorTag   = regexp.MustCompile(`<a\s+(?:id|name)="([^"]+)"`)
	codeSpan    = regexp.MustCompile("`[^`]*`")
	inlineLink  = regexp.MustCompile(`\]\(\s*<?([^)\s>]*)>?(?:\s+"[^"]*")?\s*\)`)
	linkLabel   = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)`)
	tagLink     = regexp.MustCompile(`<(?:a|img)\s[^>]*?(?:href|src)="([^"]*)"`)
)

// readPage reads a Markdown file.
func readPage(path, text string) *page {
	p := &page{path: path, anchors: make(map[string]bool)}
	r := pageReader{page: p, lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	for r.next < len(r.lines) {
		r.step()
	}
	r.dropComments()
	return p
}

type pageReader struct {
	page  *page
	lines []string
	next  int // the index of the next line, which is the number of the latest

	comments []comment // since the latest line that was neither blank nor a comment
}

type comment struct {
	line int
	text string
}

func (r *pageReader) step() {
	line := r.lines[r.next]
	trimmed := strings.TrimSpace(line)
	r.next++
	switch fence := fenceLine.FindStringSubmatch(line); {
	case trimmed == "":
	case fence != nil:
		r.fence(fence[1], fence[2], strings.TrimSpace(fence[3]))
	case strings.HasPrefix(trimmed, "<!--"):
		r.comment(trimmed)
	default:
		r.dropComments()
		r.text(line)
	}
}

// comment reads a comment, which may take several lines.
func (r *pageReader) comment(line string) {
	first := r.next
	text := strings.TrimPrefix(line, "<!--")
	for {
		before, after, closed := strings.Cut(text, "-->")
		if closed {
			text = before
			if after = strings.TrimSpace(after); after != "" {
				r.problem(r.next, "text behind a comment: put it on a line of its own")
			}
			break
		}
		if r.next == len(r.lines) {
			r.problem(first, "the comment does not end")
			return
		}
		text += "\n" + r.lines[r.next]
		r.next++
	}
	c := comment{line: first, text: text}
	if code, ok := cutWord(text, "given page:"); ok {
		r.page.givens = append(r.page.givens, r.given(c, code))
		return
	}
	r.comments = append(r.comments, c)
}

// cutWord is strings.CutPrefix past leading white space.
func cutWord(text, word string) (after string, found bool) {
	return strings.CutPrefix(strings.TrimLeft(text, " \t\n"), word)
}

// given makes a given of the code in a comment.
func (r *pageReader) given(c comment, code string) given {
	before := c.text[:len(c.text)-len(code)]
	return given{path: r.page.path, line: c.line + strings.Count(before, "\n"), code: code}
}

// dropComments forgets the comments behind which no block stands.
func (r *pageReader) dropComments() {
	for _, c := range r.comments {
		if _, ok := cutWord(c.text, "given:"); ok {
			r.problem(c.line, "no block follows the given")
		}
	}
	r.comments = nil
}

// fence reads a block of code.
func (r *pageReader) fence(indent, fence, info string) {
	b := block{path: r.page.path, line: r.next + 1, info: info}
	for _, c := range r.comments {
		if code, ok := cutWord(c.text, "given:"); ok {
			b.givens = append(b.givens, r.given(c, code))
		} else {
			b.markers = append(b.markers, strings.TrimSpace(c.text))
		}
	}
	r.comments = nil
	var code strings.Builder
	for {
		if r.next == len(r.lines) {
			r.problem(b.line-1, "the block does not end")
			return
		}
		line := r.lines[r.next]
		r.next++
		closing := strings.TrimSpace(line)
		if len(closing) >= len(fence) && strings.Trim(closing, fence[:1]) == "" {
			break
		}
		for i := range indent { // cut as much of the indentation as there is
			if line == "" || line[0] != indent[i] {
				break
			}
			line = line[1:]
		}
		code.WriteString(line + "\n")
	}
	b.code = code.String()
	r.page.blocks = append(r.page.blocks, b)
}

// text reads a line outside of blocks and comments.
func (r *pageReader) text(line string) {
	if hiddenFence.MatchString(line) {
		r.problem(r.next, "a block behind the mark of a quote or a list is not read: begin it on a line of its own")
	}
	if heading := headingLine.FindStringSubmatch(line); heading != nil {
		r.anchor(heading[1])
	}
	for _, tag := range anchorTag.FindAllStringSubmatch(line, -1) {
		r.page.anchors[tag[1]] = true
	}
	line = codeSpan.ReplaceAllString(line, "`code`")
	for _, pattern := range []*regexp.Regexp{inlineLink, linkLabel, tagLink} {
		for _, found := range pattern.FindAllStringSubmatch(line, -1) {
			r.page.links = append(r.page.links, link{line: r.next, target: found[1]})
		}
	}
}

// anchor adds the anchor that a heading gets: lower case, with dashes for spaces and
// nothing for punctuation, and numbered where it was there before.
func (r *pageReader) anchor(heading string) {
	heading = inlineLink.ReplaceAllString(heading, "]")
	var name strings.Builder
	for _, c := range strings.ToLower(heading) {
		switch {
		case c == ' ':
			name.WriteByte('-')
		case c == '-' || c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
			name.WriteRune(c)
		}
	}
	anchor := name.String()
	for i := 1; r.page.anchors[anchor]; i++ {
		anchor = fmt.Sprintf("%s-%d", name.String(), i)
	}
	r.page.anchors[anchor] = true
}

func (r *pageReader) problem(line int, what string) {
	r.page.problems = append(r.page.problems, fmt.Sprintf("%s:%d: %s", r.page.path, line, what))
}

func TestReadPage(t *testing.T) {
	t.Parallel()
	p := readPage("docs/page.md", strings.Join([]string{
		"# The `first` heading: yes & no",                 // 1
		"<!-- given page: var a int -->",                  // 2
		"Text with a [link](other.md#there) and `[x](y)`", // 3
		"",                          // 4
		"<!-- marker -->",           // 5
		"<!--",                      // 6
		"given:",                    // 7
		"var b int",                 // 8
		"-->",                       // 9
		"",                          // 10
		"```go",                     // 11
		"# no heading, [no](link)",  // 12
		"",                          // 13
		"```",                       // 14
		"- in a list",               // 15
		"  ~~~~sh",                  // 16
		"    echo",                  // 17
		"   ```",                    // 18
		"  ~~~~",                    // 19
		"## Again",                  // 20
		"## Again",                  // 21
		"[label]: <../README.md> x", // 22
		`<a id="tag"></a> <img alt="" src="picture.svg">`, // 23
	}, "\n"))
	require.Empty(t, p.problems)
	require.Equal(t, []given{{"docs/page.md", 2, " var a int "}}, p.givens)
	require.Equal(t, []block{
		{
			path: "docs/page.md", line: 12, info: "go", code: "# no heading, [no](link)\n\n",
			givens: []given{{"docs/page.md", 7, "\nvar b int\n"}}, markers: []string{"marker"},
		},
		{path: "docs/page.md", line: 17, info: "sh", code: "  echo\n ```\n"},
	}, p.blocks)
	require.Equal(t, map[string]bool{
		"the-first-heading-yes--no": true, "again": true, "again-1": true, "tag": true,
	}, p.anchors)
	require.Equal(t, []link{{3, "other.md#there"}, {22, "../README.md"}, {23, "picture.svg"}}, p.links)
}

func TestReadPageProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"x\n```go\nx":                       "p.md:2: the block does not end",
		"<!-- x":                            "p.md:1: the comment does not end",
		"<!-- given: var x int -->\nx":      "p.md:1: no block follows the given",
		"<!-- given: var x int -->":         "p.md:1: no block follows the given",
		"> ```go":                           "p.md:1: a block behind the mark of a quote or a list is not read: begin it on a line of its own",
		"x\n1. ```go":                       "p.md:2: a block behind the mark of a quote or a list is not read: begin it on a line of its own",
		"<!-- given: var x int --> ```go\n": "p.md:1: text behind a comment: put it on a line of its own",
	} {
		p := readPage("p.md", text)
		require.NotEmpty(t, p.problems, "%q", text)
		require.Equal(t, want, p.problems[0], "%q", text)
	}
}
