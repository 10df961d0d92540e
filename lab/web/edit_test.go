package web

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const small = `# what it is
name: small
duration: 10s # short
callers: {open: {rate: 10}}
policies:
  - name: a
    retry: {max_retries: 3}
`

// change makes edits, given as path and value.
func change(t *testing.T, text string, edits ...edit) (edited, error) {
	t.Helper()
	e := editing{Text: text, Edits: edits}
	return e.apply()
}

func set(value string, path ...string) edit { return edit{path, json.RawMessage(value)} }

func TestEditsKeepTheRest(t *testing.T) {
	t.Parallel()
	got, err := change(t, small,
		set(`20.5`, "callers", "open", "rate"), set(`"true"`, "title"), set(`{}`, "policies", "0", "budget"),
		set(`0.2`, "policies", "0", "budget", "ratio"), set(`true`, "policies", "0", "budget", "shared"), set(`null`, "policies", "0", "retry"),
		set(`{"name":"b","retry":{"initial_delay":"10ms"}}`, "policies", "1"), set(`"1m"`, "duration"),
		set(`{"from":"1s","to":"2s","down":true}`, "faults", "0"))
	require.NoError(t, err)
	assert.Equal(t, `# what it is
name: small
duration: 1m # short
callers: {open: {rate: 20.5}}
policies:
  - name: a
    budget: {ratio: 0.2, shared: true}
  - {name: b, retry: {initial_delay: 10ms}}
title: "true"
faults: [{from: 1s, to: 2s, down: true}]
`, got.Text)
	assert.Empty(t, got.Error)
	tree, ok := got.Tree.(map[string]any)
	require.True(t, ok)
	assert.Equal(t, "1m", tree["duration"])
}

func TestNoEditsKeepTheTextToTheByte(t *testing.T) {
	t.Parallel()
	const odd = "name:   'small'\n\n\nduration: 10s\n"
	got, err := change(t, odd)
	require.NoError(t, err)
	assert.Equal(t, odd, got.Text)
	assert.Contains(t, got.Error, "policies: 0 is not allowed")
}

func TestEditsOfWhatIsNoYAMLChangeNothing(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a: [": "line 1", "1: 2": "keys", "a: .nan": "numbers"} {
		got, err := change(t, text, set(`1`, "a"))
		require.NoError(t, err)
		assert.Equal(t, text, got.Text)
		assert.Contains(t, got.Error, want)
		assert.Nil(t, got.Tree)
	}
}

func TestEditsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]edit{
		"path: it is empty":    {},
		"want 0 to 1":          set(`1`, "policies", "2", "name"),
		"it has no fields":     set(`1`, "name", "x"),
		`path ["policies"`:     set(`1`, "policies", "x"),
		"value: it is no JSON": set(`{"a"`, "name"),
	} {
		_, err := change(t, small, e)
		assert.ErrorContains(t, err, name)
	}
}

func TestEditsOfNothing(t *testing.T) {
	t.Parallel()
	got, err := change(t, "", set(`"x"`, "policies", "0", "name"), set(`null`, "no", "such", "field"))
	require.NoError(t, err)
	assert.Contains(t, got.Text, "policies: [{name: x}]")
	assert.NotContains(t, got.Text, "such")
}

func FuzzEdit(f *testing.F) {
	f.Add(small, "policies", "0", `{"a":1}`)
	f.Add("a: &x {b: *x}", "a", "b", "1")
	f.Fuzz(func(t *testing.T, text, first, second, value string) {
		got, err := change(t, text, set(value, first, second))
		if err != nil {
			return
		}
		_, err = json.Marshal(got)
		require.NoError(t, err)
	})
}
