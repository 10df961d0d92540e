package docs

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exempt is the info string of a block that is not compiled.
var exempt = regexp.MustCompile(`^go nocompile reason="[^"]*\S[^"]*"$`)

// compile compiles the Go blocks of pages, each as a package of its own and all by one
// call of the go command, and returns what is wrong, as "page:line: what".
func compile(t *testing.T, root string, pages []*page) (problems []string) {
	t.Helper()
	module := t.TempDir()
	blocks := 0
	for _, p := range pages {
		for _, b := range p.blocks {
			name, src, err := fileOf(b, p.givens)
			if err != nil {
				problems = append(problems, err.Error())
			}
			if src == "" {
				continue
			}
			blocks++
			dir := filepath.Join(module, fmt.Sprintf("block%03d", blocks))
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(src), 0o600))
		}
	}
	if blocks == 0 {
		return problems
	}

	// A workspace takes in what the modules of the repository require and their sums,
	// so that a block may import whatever one of them does, without a download.
	work := workspace(t, root)
	require.NoError(t, os.WriteFile(filepath.Join(module, "go.work"), []byte(work), 0o600))
	if sums, err := os.ReadFile(filepath.Join(root, "go.work.sum")); err == nil {
		require.NoError(t, os.WriteFile(filepath.Join(module, "go.work.sum"), sums, 0o600))
	}
	mod := "module docs.test\n\n" + goLine.FindString(work) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(module, "go.mod"), []byte(mod), 0o600))

	command := exec.CommandContext(t.Context(), "go", "vet", "./...")
	command.Dir = module
	command.Env = append(os.Environ(), "GOWORK="+filepath.Join(module, "go.work"), "GOFLAGS=-mod=readonly")
	out, err := command.CombinedOutput()
	if err == nil {
		return problems
	}
	found := problemsIn(string(out))
	if len(found) == 0 { // the go command itself could not do it
		found = []string{fmt.Sprintf("go vet: %v\n%s", err, out)}
	}
	return append(problems, found...)
}

// fileOf returns the file that a block is to be compiled as. The source is "" if it is
// not to be compiled.
func fileOf(b block, ofPage []given) (name, src string, err error) {
	language, _, _ := strings.Cut(b.info, " ")
	switch {
	case strings.EqualFold(language, "go") && exempt.MatchString(b.info):
		return "", "", nil
	case strings.EqualFold(language, "go") && b.info != "go", language == "golang":
		return "", "", fmt.Errorf("%s:%d: after the fence of a Go block stands go, or go nocompile reason=\"...\": not %q",
			b.path, b.line-1, b.info)
	case b.info != "go":
		if len(b.givens) > 0 {
			err = fmt.Errorf("%s:%d: a given before a block that is not Go", b.path, b.givens[0].line)
		}
		return "", "", err
	}
	clause, err := parser.ParseFile(token.NewFileSet(), "", b.code, parser.PackageClauseOnly)
	if err != nil || clause.Name == nil {
		src, err = source(b, ofPage)
		return "block.go", src, err
	}
	if len(b.givens) > 0 {
		return "", "", fmt.Errorf("%s:%d: a given before a block that begins with package", b.path, b.givens[0].line)
	}
	name = "block.go"
	if strings.HasSuffix(clause.Name.Name, "_test") {
		name = "block_test.go"
	}
	return name, fmt.Sprintf("//line %s:%d\n%s", b.path, b.line, b.code), nil
}

var (
	goLine  = regexp.MustCompile(`(?m)^go .*$`)
	useDirs = regexp.MustCompile(`(?m)^\s*(?:use\s+)?(\.\S*)\s*$`)
)

// workspace returns a go.work for a module beside those of the repository.
func workspace(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.work"))
	require.NoError(t, err)
	work := goLine.FindString(string(text)) + "\n\nuse .\n"
	for _, dir := range useDirs.FindAllStringSubmatch(string(text), -1) {
		work += fmt.Sprintf("use %q\n", filepath.ToSlash(filepath.Join(root, filepath.FromSlash(dir[1]))))
	}
	return work
}

// vetLine is a line of the output of go vet: it puts the folder of the package before
// the path of the page, from the module or from the root of the file system.
var vetLine = regexp.MustCompile(`(?m)^(?:vet: )?(?:.*[/\\])?block\d{3,}[/\\](.+\.md:\d+)(?::\d+)?: (.*)$`)

// problemsIn returns what go vet says of pages.
func problemsIn(out string) (problems []string) {
	for _, found := range vetLine.FindAllStringSubmatch(out, -1) {
		problems = append(problems, filepath.ToSlash(found[1])+": "+found[2])
	}
	return problems
}

func TestCompile(t *testing.T) {
	t.Parallel()
	root := repository(t)
	fence := func(info, code string) string { return "```" + info + "\n" + code + "\n```\n" }
	pages := map[string]struct {
		text string
		want []string
	}{
		"statements.md": {"# Page\n\n" +
			fence("go", "policy, err := retry.New(\"a\", retry.WithMaxRetries(5))\nif err != nil {\n\treturn err\n}\n"+
				"err = policy.Do(ctx, func(ctx context.Context) error { return nil })") +
			"<!-- given: var policy *retry.Policy; func fetch(ctx context.Context) (string, error) -->\n\n" +
			fence("go", "item, err := retry.DoValue(ctx, policy, fetch)") +
			fence("go", "var policy = retry.MustNew(\"a\")\n\nfunc Get(ctx context.Context) error {\n\treturn policy.Do(ctx, get)\n}\n\n"+
				"func get(context.Context) error\n\nerr := Get(ctx)") +
			fence("go", "import stdlog \"log\"\n\nstdlog.Print(budget.DefaultBurst)\nctx := context.Background()\nreturn retry.DoValue(ctx, nil, func(context.Context) (int, error) { return 1, nil })"), nil},
		"packages.md": {
			fence("go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }") +
				fence("go", "package shop_test\n\nimport \"testing\"\n\nfunc TestShop(t *testing.T) { t.Parallel() }"), nil},
		"others.md": {fence("sh", "not go") + fence("", "nor this") + fence(`go nocompile reason="an error on purpose"`, "x :="), nil},
		"page-given.md": {"<!-- given page: import \"text/template\"; var tpl *template.Template; var n int -->\n" +
			fence("go", "tpl.Name()") + fence("go", "n := \"own\"\nn += strings.ToUpper(n)") + fence("go", "var n string\nn = \"own\""), nil},

		"undefined.md":  {"\n\n" + fence("go", "f()\n\nretry.Nwe(\"a\")"), []string{"undefined.md:4: undefined: f"}},
		"misspelt.md":   {fence("go", "policy, err := retry.New(\"a\")\n\nretry.Nwe(\"a\")"), []string{"misspelt.md:4: undefined: retry.Nwe"}},
		"type.md":       {fence("go", "type T int\n\nfunc (t T) String() string {\n\treturn t\n}"), []string{"type.md:5: cannot use t (variable of int type T) as string value in return statement"}},
		"folder/in.md":  {"<!-- given:\nvar x int\nvar y unknown -->\n" + fence("go", "x = 1"), []string{"folder/in.md:3: undefined: unknown"}},
		"page-wrong.md": {"<!-- given page: var x unknown -->\n" + fence("go", "x = 1"), []string{"page-wrong.md:1: undefined: unknown"}},
		"unused.md": {fence("go", "package main\n\nimport \"fmt\"\n\nfunc main() { x := 1 }"),
			[]string{"unused.md:6: declared and not used: x"}},
		"broken-test.md": {fence("go", "package a_test\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Nothing() }"),
			[]string{"broken-test.md:6: t.Nothing undefined (type *testing.T has no field or method Nothing)"}},
		"vet.md":        {fence("go", "fmt.Printf(\"%d\", \"text\")"), []string{"vet.md:2: fmt.Printf format %d has arg \"text\" of wrong type string"}},
		"syntax.md":     {"\n" + fence("go", "x := 1\ny := := 2"), []string{"syntax.md:4: expected operand, found ':='"}},
		"syntax-top.md": {fence("go", "\ntype T struct {"), []string{"syntax-top.md:3: expected '}', found 'EOF'"}},
		"no-reason.md":  {fence("go nocompile", "x"), []string{`no-reason.md:1: after the fence of a Go block stands go, or go nocompile reason="...": not "go nocompile"`}},
		"no-words.md":   {fence(`go nocompile reason=" "`, "x"), []string{`no-words.md:1: after the fence of a Go block stands go, or go nocompile reason="...": not "go nocompile reason=\" \""`}},
		"golang.md":     {fence("golang", "x"), []string{`golang.md:1: after the fence of a Go block stands go, or go nocompile reason="...": not "golang"`}},
		"lost-given.md": {"<!-- given: var x int -->\n" + fence("sh", "x"), []string{"lost-given.md:1: a given before a block that is not Go"}},
		"given-main.md": {"<!-- given: var x int -->\n" + fence("go", "package main"), []string{"given-main.md:1: a given before a block that begins with package"}},
		"given-do.md":   {"<!-- given: f() -->\n" + fence("go", "x()"), []string{"given-do.md:1: a given is made of declarations: this is a statement"}},
	}
	var all []*page
	var want []string
	for path, tt := range pages {
		p := readPage(path, tt.text)
		require.Empty(t, p.problems)
		all = append(all, p)
		want = append(want, tt.want...)
	}
	require.ElementsMatch(t, want, compile(t, root, all))
}
