// Package gallery has scenarios that reproduce published results, each with its source.
package gallery

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/observable-go/toolkit/lab/scenario"
)

//go:embed *.yaml
var files embed.FS

// An Entry is a scenario of the gallery.
type Entry struct {
	Name   string `json:"name"`
	Title  string `json:"title"`
	Source string `json:"source"`
	Text   string `json:"text"`
}

// All returns the scenarios, in their order.
var All = sync.OnceValue(func() []Entry {
	found, err := files.ReadDir(".")
	if err != nil {
		panic(err) // they are in the program
	}
	all := make([]Entry, 0, len(found))
	for _, file := range found {
		text, err := files.ReadFile(file.Name())
		if err != nil {
			panic(err)
		}
		s, err := scenario.Parse(text)
		if err != nil {
			panic(fmt.Errorf("%s: %w", file.Name(), err)) // a test reads them all
		}
		all = append(all, Entry{s.Name, s.Title, s.Source, string(text)})
	}
	return all
})

// Text returns the text of the scenario of that name.
func Text(name string) ([]byte, error) {
	all := All()
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		names := make([]string, len(all))
		for i, e := range all {
			names[i] = e.Name
		}
		return nil, fmt.Errorf("there is no scenario %q: want a file, or one of %s", name, strings.Join(names, ", "))
	}
	return []byte(all[i].Text), nil
}
