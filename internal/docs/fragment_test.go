package docs

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// use takes what a fragment does not use itself.
const use = "docsUse"

// A chunk is a declaration or a statement of a block, or of a given.
type chunk struct {
	path string
	line int
	kind token.Token // IMPORT, TYPE, VAR, CONST, FUNC, or ILLEGAL for a statement
	code string
}

// source makes a Go file of a fragment, with line directives that lead back to its
// page.
func source(b block, ofPage []given) (string, error) {
	top, body, err := sortOut(b)
	if err != nil {
		return "", err
	}
	presupposed, err := chunksOf(b.givens)
	if err != nil {
		return "", err
	}
	shared, err := chunksOf(ofPage)
	if err != nil {
		return "", err
	}
	// What a page imports is imported by the fragments that need it.
	known := maps.Clone(imports)
	maps.Copy(known, importsOf(shared))
	shared = slices.DeleteFunc(shared, func(c chunk) bool { return c.kind == token.IMPORT })
	top, err = underlay(shared, append(presupposed, top...))
	if err != nil {
		return "", err
	}
	for i := range body {
		if body[i].code, err = lenient(body[i]); err != nil {
			return "", err
		}
	}

	unresolved, err := unresolvedNames(assemble(nil, top, body))
	if err != nil {
		return "", err
	}
	if slices.Contains(unresolved, "ctx") {
		top = append(top, chunk{b.path, b.line, token.VAR, "var ctx context.Context"})
		unresolved = append(unresolved, "context")
	}
	imported := importsOf(top)
	var specs []string
	for _, name := range unresolved {
		if _, ok := imported[name]; !ok && known[name] != "" {
			specs = append(specs, fmt.Sprintf("%s %q", name, known[name]))
		}
	}
	slices.Sort(specs)
	return assemble(slices.Compact(specs), top, body), nil
}

// sortOut tells what belongs outside of any function from statements.
// Variables and constants behind a statement belong to the statements.
func sortOut(b block) (top, body []chunk, err error) {
	all, err := split(b.path, b.line, b.code)
	for _, c := range all {
		if c.kind == token.ILLEGAL || len(body) > 0 && (c.kind == token.VAR || c.kind == token.CONST) {
			body = append(body, c)
		} else {
			top = append(top, c)
		}
	}
	return top, body, err
}

// chunksOf returns the declarations of givens.
func chunksOf(givens []given) (all []chunk, err error) {
	for _, g := range givens {
		chunks, err := split(g.path, g.line, g.code)
		if err != nil {
			return nil, err
		}
		for _, c := range chunks {
			if c.kind == token.ILLEGAL {
				return nil, fmt.Errorf("%s:%d: a given is made of declarations: this is a statement", c.path, c.line)
			}
		}
		all = append(all, chunks...)
	}
	return all, nil
}

// split returns the declarations and statements of a piece of code.
func split(path string, line int, code string) (chunks []chunk, err error) {
	type lexeme struct {
		pos, end int
		token    token.Token
	}
	fset := token.NewFileSet()
	file := fset.AddFile(path, -1, len(code))
	var s scanner.Scanner
	s.Init(file, []byte(code), func(pos token.Position, text string) {
		err = errors.Join(err, fmt.Errorf("%s:%d: %s", path, line+pos.Line-1, text))
	}, 0)
	var lexemes []lexeme
	for {
		pos, tok, text := s.Scan()
		if text == "" { // an operator
			text = tok.String()
		}
		start := file.Offset(pos)
		lexemes = append(lexemes, lexeme{start, start + len(text), tok})
		if tok == token.EOF {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	at := func(i int) token.Token { return lexemes[min(i, len(lexemes)-1)].token }

	depth, first := 0, 0
	for i, l := range lexemes {
		switch l.token {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			depth++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			depth--
		}
		if l.token != token.EOF && (l.token != token.SEMICOLON || depth > 0) {
			continue
		}
		keyword := first
		if at(first+1) == token.COLON { // behind a label
			keyword += 2
		}
		switch at(keyword) {
		case token.FOR, token.IF, token.SWITCH, token.SELECT:
			// A semicolon may stand in its head. What follows a block on its line may
			// well go with it.
			if l.token == token.SEMICOLON && (at(i-1) != token.RBRACE || code[l.pos] != '\n') {
				continue
			}
		default:
		}
		if first < i {
			c := chunk{path: path, code: code[lexemes[first].pos:lexemes[i-1].end]}
			c.line = line + file.Line(file.Pos(lexemes[first].pos)) - 1
			switch kind := at(first); kind {
			case token.IMPORT, token.TYPE, token.VAR, token.CONST:
				c.kind = kind
			case token.FUNC:
				// func name( and func (receiver) name( are declarations.
				name := first + 1
				if at(name) == token.LPAREN {
					for at(name) != token.RPAREN && at(name) != token.EOF {
						name++
					}
					name++
				}
				if next := at(name + 1); at(name) == token.IDENT && (next == token.LPAREN || next == token.LBRACK) {
					c.kind = token.FUNC
				}
			default:
			}
			chunks = append(chunks, c)
		}
		first = i + 1
	}
	return chunks, nil
}

// underlay puts the declarations of a page below those of a fragment: one with a name
// that the fragment declares too is left out, and so are the methods of such a type.
func underlay(shared, own []chunk) ([]chunk, error) {
	taken := make(map[string]bool)
	for _, c := range own {
		names, err := declared(c)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !strings.HasSuffix(name, ".") {
				taken[name], taken[name+"."] = true, true
			}
		}
	}
	var kept []chunk
	for _, c := range shared {
		names, err := declared(c)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(names, func(name string) bool { return taken[name] }) {
			kept = append(kept, c)
		}
	}
	return append(kept, own...), nil
}

// declared returns the names that a declaration declares: of a method, that of its
// receiver's type with a dot.
func declared(c chunk) (names []string, err error) {
	f, err := parse("package p\n" + directive(c) + c.code + "\n")
	if err != nil {
		return nil, err
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name.Name)
			} else if len(d.Recv.List) > 0 {
				names = append(names, receiverOf(d)+".")
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names, nil
}

func receiverOf(d *ast.FuncDecl) (name string) {
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

// lenient returns the code of a statement so that it may leave variables unused and
// return anything. No line of it moves.
func lenient(c chunk) (string, error) {
	before := "package p; func _() {\n" + directive(c)
	f, err := parse(before + c.code + "\n}\n")
	if err != nil {
		return "", err
	}
	type insertion struct {
		at   int
		text string
	}
	var insertions []insertion
	insert := func(pos token.Pos, text string) {
		insertions = append(insertions, insertion{int(pos-f.FileStart) - len(before), text})
	}
	used := func(pos token.Pos, before string, names []ast.Expr, after string) {
		for _, n := range names {
			if id, ok := n.(*ast.Ident); ok && id.Name != "_" {
				insert(pos, before+use+"(&"+id.Name+")"+after)
			}
		}
	}
	statements := func(list []ast.Stmt) {
		for _, s := range list {
			switch s := s.(type) {
			case *ast.AssignStmt:
				if s.Tok == token.DEFINE {
					used(s.End(), "; ", s.Lhs, "")
				}
			case *ast.DeclStmt:
				if d, ok := s.Decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
					for _, spec := range d.Specs {
						for _, name := range spec.(*ast.ValueSpec).Names {
							used(s.End(), "; ", []ast.Expr{name}, "")
						}
					}
				}
			case *ast.RangeStmt:
				if s.Tok == token.DEFINE {
					used(s.Body.Lbrace+1, "", []ast.Expr{s.Key, s.Value}, ";")
				}
			}
		}
	}
	literals := 0
	var stack []ast.Node
	ast.Inspect(f, func(n ast.Node) bool {
		if n == nil {
			if _, ok := stack[len(stack)-1].(*ast.FuncLit); ok {
				literals--
			}
			stack = stack[:len(stack)-1]
			return true
		}
		stack = append(stack, n)
		switch n := n.(type) {
		case *ast.FuncLit:
			literals++
		case *ast.BlockStmt:
			statements(n.List)
		case *ast.CaseClause:
			statements(n.Body)
		case *ast.CommClause:
			statements(n.Body)
			if s, ok := n.Comm.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
				used(n.Colon+1, "", s.Lhs, ";")
			}
		case *ast.ReturnStmt:
			if literals == 0 && len(n.Results) > 0 {
				insert(n.Pos(), "{ "+use+"(")
				insert(n.Pos()+token.Pos(len("return")), "\x00") // cut the word
				insert(n.End(), "); return }")
			}
		}
		return true
	})
	slices.SortStableFunc(insertions, func(a, b insertion) int { return a.at - b.at })
	var code strings.Builder
	done := 0
	for _, i := range insertions {
		if i.text == "\x00" {
			done = i.at
			continue
		}
		code.WriteString(c.code[done:i.at] + i.text)
		done = i.at
	}
	return code.String() + c.code[done:], nil
}

// assemble makes a file of its parts.
func assemble(paths []string, top, body []chunk) string {
	var file strings.Builder
	file.WriteString("package block\n")
	for _, path := range paths {
		file.WriteString("import " + path + "\n")
	}
	for _, first := range []bool{true, false} { // imports come first
		for _, c := range top {
			if (c.kind == token.IMPORT) == first {
				file.WriteString(directive(c) + c.code)
				if c.kind == token.FUNC && bodyless(c) {
					file.WriteString(` { panic("given") }`)
				}
				file.WriteString("\n")
			}
		}
	}
	file.WriteString("func " + use + "(...any) {}\n")
	file.WriteString("func _() {\n")
	for _, c := range body {
		file.WriteString(directive(c) + c.code + "\n")
	}
	file.WriteString("}\n")
	return file.String()
}

func directive(c chunk) string { return fmt.Sprintf("//line %s:%d\n", c.path, c.line) }

func bodyless(c chunk) bool {
	f, err := parse("package p\n" + c.code + "\n")
	if err != nil || len(f.Decls) != 1 {
		return false
	}
	d, ok := f.Decls[0].(*ast.FuncDecl)
	return ok && d.Body == nil
}

// importsOf returns the paths of the packages that the chunks import, by name: by the
// name in imports if the path is there, otherwise by what the path tells.
func importsOf(chunks []chunk) map[string]string {
	found := make(map[string]string)
	for _, c := range chunks {
		if c.kind != token.IMPORT {
			continue
		}
		f, err := parse("package p\n" + c.code + "\n")
		if err != nil {
			continue // the compiler will tell
		}
		for _, spec := range f.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			name := path.Base(imported)
			for knownName, knownPath := range imports {
				if knownPath == imported {
					name = knownName
				}
			}
			if spec.Name != nil {
				name = spec.Name.Name
			}
			found[name] = imported
		}
	}
	return found
}

// unresolvedNames returns the names in a file that it does not declare.
func unresolvedNames(file string) (names []string, err error) {
	f, err := parse(file)
	if err != nil {
		return nil, err
	}
	for _, id := range f.Unresolved {
		names = append(names, id.Name)
	}
	return names, nil
}

// parse parses a file. Its errors begin with the line of the page.
func parse(file string) (*ast.File, error) {
	f, err := parser.ParseFile(token.NewFileSet(), "", file, 0)
	if list, ok := errors.AsType[scanner.ErrorList](err); ok {
		first := list[0]
		return nil, fmt.Errorf("%s:%d: %s", first.Pos.Filename, first.Pos.Line, first.Msg)
	}
	return f, err
}

func TestSplit(t *testing.T) {
	t.Parallel()
	chunks, err := split("p.md", 10, strings.Join([]string{
		`import "fmt"; var x int // 10`,
		"",
		"// T is a type.",
		"type T[E any] struct {",
		"\tfield E; other int",
		"}",
		"func (t *T[E]) M() {}",
		"func F[E any](e E) error",
		"func() T { return T{} }()",
		"again: for i := 0; i < 3; i++ { F(i) }",
		"if x := []int{1}; x[0] == 1 {",
		"}",
		"const (",
		"\ta = 1",
		")",
		"defer func() {}()",
		`s := "a; b"`,
	}, "\n"))
	require.NoError(t, err)
	require.Equal(t, []chunk{
		{"p.md", 10, token.IMPORT, `import "fmt"`},
		{"p.md", 10, token.VAR, "var x int"},
		{"p.md", 13, token.TYPE, "type T[E any] struct {\n\tfield E; other int\n}"},
		{"p.md", 16, token.FUNC, "func (t *T[E]) M() {}"},
		{"p.md", 17, token.FUNC, "func F[E any](e E) error"},
		{"p.md", 18, token.ILLEGAL, "func() T { return T{} }()"},
		{"p.md", 19, token.ILLEGAL, "again: for i := 0; i < 3; i++ { F(i) }"},
		{"p.md", 20, token.ILLEGAL, "if x := []int{1}; x[0] == 1 {\n}"},
		{"p.md", 22, token.CONST, "const (\n\ta = 1\n)"},
		{"p.md", 25, token.ILLEGAL, "defer func() {}()"},
		{"p.md", 26, token.ILLEGAL, `s := "a; b"`},
	}, chunks)

	_, err = split("p.md", 10, "x := 1\ny := 'ab'")
	require.EqualError(t, err, "p.md:11: illegal rune literal")
}

func TestLenient(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"f()":                                "f()",
		"x, _ := f() // why":                 "x, _ := f(); docsUse(&x) // why",
		"var x, y int":                       "var x, y int; docsUse(&x); docsUse(&y)",
		"return":                             "return",
		"return nil, f(\n\tx)":               "{ docsUse( nil, f(\n\tx)); return }",
		"if err != nil {\n\treturn err\n}":   "if err != nil {\n\t{ docsUse( err); return }\n}",
		"for i, v := range f() {\n}":         "for i, v := range f() {docsUse(&i);docsUse(&v);\n}",
		"for range 3 {}":                     "for range 3 {}",
		"g(func() int { x := 1; return 2 })": "g(func() int { x := 1; docsUse(&x); return 2 })",
		"select { case v := <-c: }":          "select { case v := <-c:docsUse(&v); }",
		"switch { case true:\n\ty := 1\n\treturn y\n}": "switch { case true:\n\ty := 1; docsUse(&y)\n\t{ docsUse( y); return }\n}",
	} {
		got, err := lenient(chunk{path: "p.md", line: 7, code: code})
		require.NoError(t, err, code)
		require.Equal(t, want, got)
	}
	_, err := lenient(chunk{path: "p.md", line: 7, code: "x := 1\ny := := 2"})
	require.ErrorContains(t, err, "p.md:8: ")
}

func TestUnderlay(t *testing.T) {
	t.Parallel()
	shared, err := chunksOf([]given{{"p.md", 1, "type T struct{}; func (T) M(); func (*T) N(); var a int; var b, c int; func f()"}})
	require.NoError(t, err)
	own, err := chunksOf([]given{{"p.md", 2, "type T int; var b int; import `time`"}})
	require.NoError(t, err)
	all, err := underlay(shared, own)
	require.NoError(t, err)
	codes := make([]string, len(all))
	for i, c := range all {
		codes[i] = c.code
	}
	require.Equal(t, []string{"var a int", "func f()", "type T int", "var b int", "import `time`"}, codes)

	_, err = chunksOf([]given{{"p.md", 5, "var a int\na = 2"}})
	require.EqualError(t, err, "p.md:6: a given is made of declarations: this is a statement")
}
