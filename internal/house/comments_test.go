package house

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkPackageComment returns a violation if no file of p says what p is for, as
// "Package name ...".
func checkPackageComment(p pack) []string {
	for _, f := range p.files {
		if strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ") {
			return nil
		}
	}
	return []string{fmt.Sprintf("package %s has no package comment that begins with Package and its name", p.path)}
}

// checkComments returns which exported identifiers of p have no comment. A constant or
// a variable may share that of its group.
func checkComments(fset *token.FileSet, p pack) (violations []string, err error) {
	d, err := doc.NewFromFiles(fset, p.files, modulePath+"/"+p.path)
	if err != nil {
		return nil, err
	}
	missing := func(pos token.Pos, what string) {
		violations = append(violations, fmt.Sprintf("%s: %s has no comment", fset.Position(pos), what))
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			for _, spec := range v.Decl.Specs {
				s, ok := spec.(*ast.ValueSpec)
				if !ok || v.Doc != "" || s.Doc.Text() != "" || s.Comment.Text() != "" {
					continue
				}
				for _, name := range s.Names {
					if name.IsExported() {
						missing(name.Pos(), name.Name)
					}
				}
			}
		}
	}
	functions := func(all []*doc.Func, of string) {
		for _, f := range all {
			if f.Doc == "" && token.IsExported(f.Name) {
				missing(f.Decl.Pos(), of+f.Name)
			}
		}
	}
	values(d.Consts)
	values(d.Vars)
	functions(d.Funcs, "")
	for _, t := range d.Types {
		if t.Doc == "" && token.IsExported(t.Name) {
			missing(t.Decl.Pos(), t.Name)
		}
		values(t.Consts)
		values(t.Vars)
		functions(t.Funcs, "")
		functions(t.Methods, t.Name+".")
	}
	return violations, nil
}

func TestComments(t *testing.T) {
	t.Parallel()
	fset, all := packs(t)
	for _, p := range all {
		failOn(t, checkPackageComment(p))
		violations, err := checkComments(fset, p)
		require.NoError(t, err)
		failOn(t, violations)
	}
}

func TestCheckPackageComment(t *testing.T) {
	t.Parallel()
	_, without := parsed(t, "resilience/x", "package x", "// Some remark.\n\npackage x")
	require.Len(t, checkPackageComment(without), 1)
	_, of := parsed(t, "resilience/x", "// Package y is another.\npackage x")
	require.Len(t, checkPackageComment(of), 1)
	_, with := parsed(t, "resilience/x", "package x", "// Package x is there.\npackage x")
	require.Empty(t, checkPackageComment(with))
}

func TestCheckComments(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		src  string
		want []string
	}{
		"nothing exported": {"func f() {}\nvar v, w = 1, 2\ntype t struct{}\nfunc (t) m() {}", nil},
		"function":         {"func F() {}", []string{"F"}},
		"documented":       {"// F is there.\nfunc F() {}\n// T is there.\ntype T int\n// M is there.\nfunc (T) M() {}", nil},
		"type":             {"type T struct{}", []string{"T"}},
		"method":           {"// T is there.\ntype T struct{}\nfunc (T) M() {}", []string{"T.M"}},
		"error method":     {"// E is there.\ntype E struct{}\nfunc (*E) Error() string { return \"\" }", []string{"E.Error"}},
		"constructor":      {"// T is there.\ntype T struct{}\nfunc New() T { return T{} }", []string{"New"}},
		"constants":        {"const (\n\tA = 1\n\tb = 2\n)", []string{"A"}},
		"typed constants":  {"// T is there.\ntype T int\nconst (\n\tA T = 1\n\t// B is there.\n\tB T = 2\n)", []string{"A"}},
		"a group":          {"// Some constants.\nconst (\n\tA = 1\n\tB = 2\n)", nil},
		"behind it":        {"const A = 1 // is there\nvar B = 2", []string{"B"}},
		"variable":         {"var A, B = 1, 2", []string{"A", "B"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			violations, err := checkComments(parsed(t, "resilience/x", "package x\n"+tt.src))
			require.NoError(t, err)
			require.Len(t, violations, len(tt.want), "%q", violations)
			for i, want := range tt.want {
				require.Contains(t, violations[i], ": "+want+" has no comment")
			}
		})
	}
}
