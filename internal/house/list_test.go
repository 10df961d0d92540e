package house

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// modulePath is the path of the main module.
const modulePath = "github.com/observable-go/toolkit"

// listed is what `go list -json` tells of a package.
type listed struct {
	Dir            string
	ImportPath     string
	Standard       bool
	Module         *struct{ Path string }
	GoFiles        []string
	CgoFiles       []string
	IgnoredGoFiles []string // those of other systems, and tests of other systems
}

// list returns the packages of the main module; with deps, those of the library and all
// that they import.
func list(t *testing.T, deps bool) []listed {
	t.Helper()
	root := moduleRoot(t)
	args := []string{"list", "-json=Dir,ImportPath,Standard,Module,GoFiles,CgoFiles,IgnoredGoFiles"}
	if deps {
		args = append(args, "-deps", "./resilience/...")
	} else {
		args = append(args, "./...")
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = root
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	require.NoError(t, err, "go list: %s", &stderr)

	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p listed
		require.NoError(t, decoder.Decode(&p))
		packages = append(packages, p)
	}
	require.NotEmpty(t, packages)
	return packages
}

// moduleRoot returns the folder of the main module. It looks into every folder of it:
// the go command caches the result of a test unless what the test itself has looked
// at has changed, and `go list` runs in a process of its own.
func moduleRoot(t *testing.T) string {
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

// A pack is a package with the syntax of all its files that are no tests, also of
// those for other systems.
type pack struct {
	path  string // below the module's path
	files []*ast.File
}

// packs returns the packages of the main module and of those below contrib.
func packs(t *testing.T) (*token.FileSet, []pack) {
	t.Helper()
	root := moduleRoot(t)
	fset := token.NewFileSet()
	var all []pack
	for _, l := range list(t, false) {
		p := pack{path: strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, modulePath), "/")}
		for _, name := range slices.Concat(l.GoFiles, l.CgoFiles, l.IgnoredGoFiles) {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			path := filepath.Join(l.Dir, name)
			src, err := os.ReadFile(path)
			require.NoError(t, err)
			shown, err := filepath.Rel(root, path)
			require.NoError(t, err)
			f, err := parser.ParseFile(fset, filepath.ToSlash(shown), src, parser.ParseComments)
			require.NoError(t, err)
			p.files = append(p.files, f)
		}
		all = append(all, p)
	}
	return fset, append(all, annexPacks(t, root, fset)...)
}

// annexPacks returns the packages of the modules below contrib. They are read from the folders,
// as their libraries need not be there for what is asked of them here.
func annexPacks(t *testing.T, root string, fset *token.FileSet) (all []pack) {
	t.Helper()
	folders := map[string]*pack{}
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "contrib"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "testdata":
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		shown, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, filepath.ToSlash(shown), src, parser.ParseComments)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(shown))
		if folders[folder] == nil {
			folders[folder] = &pack{path: folder}
		}
		folders[folder].files = append(folders[folder].files, f)
		return nil
	}))
	require.NotEmpty(t, folders)
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		all = append(all, *folders[folder])
	}
	return all
}

// parsed returns a package made of sources, for tests of the checks.
func parsed(t *testing.T, path string, sources ...string) (*token.FileSet, pack) {
	t.Helper()
	fset := token.NewFileSet()
	p := pack{path: path}
	for _, src := range sources {
		f, err := parser.ParseFile(fset, path+"/file.go", src, parser.ParseComments)
		require.NoError(t, err)
		p.files = append(p.files, f)
	}
	return fset, p
}

// failOn fails the test with one line for each violation.
func failOn(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}
