package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/observable-go/toolkit/lab/scenario"
)

// maxEdit bounds a request to edit: its text may need escapes in JSON.
const maxEdit = 2*scenario.MaxFile + 1<<16

// An editing is a text with what is to be changed in it.
type editing struct {
	Text  string `json:"text"`
	Edits []edit `json:"edits"`
}

// An edit sets the field at a path, or removes it if the value is null. An element of a sequence
// is named by its index; that after the last one is added. What is missing on the way is made.
type edit struct {
	Path  []string        `json:"path"`
	Value json.RawMessage `json:"value"`
}

// An edited text is what came of it: its fields, for forms, and what is not allowed in it.
type edited struct {
	Text  string `json:"text"`
	Tree  any    `json:"tree"`
	Error string `json:"error,omitempty"`
}

// edit changes fields of a scenario. The text stays as it is if it is no YAML.
func (h *Handler) edit(w http.ResponseWriter, r *http.Request) {
	read, ok := body(w, r, maxEdit)
	if !ok {
		return
	}
	var e editing
	if err := json.Unmarshal(read, &e); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("edit: %w", err))
		return
	}
	result, err := e.apply()
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("edit: %w", err))
		return
	}
	answer(w, http.StatusOK, result)
}

func (e *editing) apply() (edited, error) {
	result := edited{Text: e.Text}
	document, tree, err := parse(e.Text)
	if err != nil {
		result.Error = err.Error()
		return result, nil //nolint:nilerr // it is what the page is to say beside the text
	}
	for _, change := range e.Edits {
		if err := change.apply(document); err != nil {
			return edited{}, err
		}
	}
	if len(e.Edits) > 0 { // a text that nobody changes stays as it is, to the byte
		if result.Text, err = write(document); err != nil {
			return edited{}, err
		}
		if _, tree, err = parse(result.Text); err != nil {
			return edited{}, err
		}
	}
	result.Tree = tree
	if _, err := scenario.Parse([]byte(result.Text)); err != nil {
		result.Error = err.Error()
	}
	return result, nil
}

// parse reads a text as nodes, which keep comments, and as values that JSON has.
func parse(text string) (*yaml.Node, any, error) {
	document := &yaml.Node{}
	if len(text) > scenario.MaxFile {
		return nil, nil, fmt.Errorf("scenario: %d bytes are not allowed: want %d at most", len(text), scenario.MaxFile)
	}
	if err := yaml.NewDecoder(bytes.NewReader([]byte(text))).Decode(document); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("scenario: %w", err)
	}
	if document.Kind == 0 {
		document = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	var tree any
	if err := document.Decode(&tree); err != nil {
		return nil, nil, fmt.Errorf("scenario: %w", err)
	}
	if _, err := json.Marshal(tree); err != nil {
		return nil, nil, errors.New("scenario: it has keys or numbers that JSON has not")
	}
	return document, tree, nil
}

func write(document *yaml.Node) (string, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return "", err
	}
	return b.String(), encoder.Close()
}

// apply makes the change in a document.
func (e *edit) apply(document *yaml.Node) error {
	if len(e.Path) == 0 {
		return errors.New("path: it is empty: want a field")
	}
	var value *yaml.Node
	if text := bytes.TrimSpace(e.Value); len(text) > 0 && !bytes.Equal(text, []byte("null")) {
		if !json.Valid(text) {
			return errors.New("value: it is no JSON")
		}
		parsed := &yaml.Node{}
		if err := yaml.Unmarshal(text, parsed); err != nil { // JSON is YAML
			return fmt.Errorf("value: %w", err)
		}
		value = parsed.Content[0]
		plain(value)
	}
	at := document.Content[0]
	for i, key := range e.Path {
		last := i == len(e.Path)-1
		next, err := step(at, key, value == nil, last)
		if err != nil {
			return fmt.Errorf("path %q: %w", e.Path[:i+1], err)
		}
		switch {
		case next == nil: // to be removed: it is gone, or was not there
			return nil
		case last:
			value.HeadComment, value.LineComment, value.FootComment = next.HeadComment, next.LineComment, next.FootComment
			*next = *value
		}
		at = next
	}
	return nil
}

// step returns the node below another. If it is missing it is made, or nil if something is to be
// removed; the last node on the way is taken out then.
func step(at *yaml.Node, key string, remove, last bool) (*yaml.Node, error) {
	if !remove && at.Kind == yaml.ScalarNode && (at.Tag == "!!null" || at.Value == "") { // as of "retry:"
		*at = yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		if _, err := strconv.Atoi(key); err == nil {
			at.Kind = yaml.SequenceNode
		}
	}
	found, width := -1, 1
	switch at.Kind {
	case yaml.MappingNode:
		width = 2
		for i := 0; i < len(at.Content); i += 2 {
			if at.Content[i].Value == key {
				found = i
			}
		}
	case yaml.SequenceNode:
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 || n > len(at.Content) {
			return nil, fmt.Errorf("it is not there: want 0 to %d", len(at.Content))
		}
		if n < len(at.Content) {
			found = n
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
		return nil, errors.New("it has no fields: change it in the text")
	}
	switch {
	case remove && last && found >= 0:
		at.Content = append(at.Content[:found], at.Content[found+width:]...)
		return nil, nil //nolint:nilnil // there is none any more
	case found >= 0:
		return at.Content[found+width-1], nil
	case remove:
		return nil, nil //nolint:nilnil // there is none
	}
	made := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	if width == 2 {
		name := &yaml.Node{}
		name.SetString(key)
		at.Content = append(at.Content, name)
	}
	at.Content = append(at.Content, made)
	return made, nil
}

// plain takes the quotes of JSON from what needs none.
func plain(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		n.Style = 0
	} else {
		n.Style = yaml.FlowStyle
	}
	for _, child := range n.Content {
		plain(child)
	}
}
