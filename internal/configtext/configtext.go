// Package configtext reads and writes the configurations of clients that hold a retry.Config: as
// JSON, as YAML, and from the environment, by one table of their fields.
package configtext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience/retry"
	"github.com/observable-go/toolkit/resilience/secret"
)

// A Form is how a configuration C stands in text.
type Form[C any] struct {
	// Package begins the errors.
	Package string
	Fields  []Field[C]
	// Retry is the part that says how calls are retried; it stands under "retry" or
	// "retry_config".
	Retry func(c *C) *retry.Config
	// Check returns what is wrong with what is there; what is missing may stand elsewhere.
	Check func(c *C) error
}

// A Field is a field of C.
type Field[C any] struct {
	// Names are those under which it is read. The first is the one that is written.
	Names []string
	// Set reads a value as a decoder gives it, or returns what would be allowed.
	Set func(c *C, value any) (want string)
	// Get returns the value to write, and nil if the field is not set.
	Get func(c *C) any
	// Secret fields are not shown in errors.
	Secret bool
}

var retryNames = []string{"retry", "retry_config"}

// ReadJSON sets the fields of c that data has, all of them or none.
func (f *Form[C]) ReadJSON(c *C, data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a large integer is not to lose digits on its way
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return f.inText(err)
	}
	return f.inText(f.set(c, values))
}

// ReadYAML does the same with what the function of a YAML decoder reads: one that follows
// gopkg.in/yaml.v2, as v3, its successor go.yaml.in/yaml and goccy/go-yaml do.
func (f *Form[C]) ReadYAML(c *C, unmarshal func(any) error) error {
	var values map[string]any
	if err := unmarshal(&values); err != nil {
		return f.inText(err)
	}
	return f.inText(f.set(c, values))
}

// ReadEnv does the same with the environment variables of that prefix: a field's name in
// upper case each, and for those of the retry RETRY_ before it. One that is empty is not there.
func (f *Form[C]) ReadEnv(c *C, prefix string) error {
	next, given := *c, map[string]any{}
	for _, field := range f.Fields {
		for _, name := range field.Names {
			if text := strings.TrimSpace(os.Getenv(prefix + strings.ToUpper(name))); text != "" {
				given[name] = text
			}
		}
	}
	if err := f.Retry(&next).UnmarshalEnv(prefix + strings.ToUpper(retryNames[0]) + "_"); err != nil {
		return fmt.Errorf("%s: %w", f.Package, err)
	}
	if err := f.set(&next, given); err != nil {
		if wrong, ok := errors.AsType[*retry.ConfigError](err); ok {
			err = NotAllowed(prefix+strings.ToUpper(wrong.Field), wrong.Value, wrong.Want)
		}
		return f.inText(err)
	}
	*c = next
	return nil
}

// Texts returns what to write: the fields that are set.
func (f *Form[C]) Texts(c *C) map[string]any {
	values := make(map[string]any)
	for _, field := range f.Fields {
		if value := field.Get(c); value != nil {
			values[field.Names[0]] = value
		}
	}
	if part := *f.Retry(c); part != (retry.Config{}) {
		values[retryNames[0]] = part
	}
	return values
}

// set sets the fields in values, all of them or none.
func (f *Form[C]) set(c *C, values map[string]any) error {
	next := *c
	for _, name := range slices.Sorted(maps.Keys(values)) { // so that the first error is the same at every run
		if !slices.Contains(f.names(), name) {
			return NotAllowed(strconv.Quote(name), "this name", "one of "+strings.Join(f.names(), ", "))
		}
	}
	for _, field := range f.Fields {
		name, value, err := oneOf(values, field.Names)
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		if want := field.Set(&next, value); want != "" {
			return NotAllowed(name, field.shown(value), want)
		}
	}
	name, part, err := oneOf(values, retryNames)
	if err == nil && part != nil {
		err = setRetry(f.Retry(&next), name, part)
	}
	if err == nil {
		err = f.Check(&next)
	}
	if err != nil {
		return err
	}
	*c = next
	return nil
}

func (f *Form[C]) names() (all []string) {
	for _, field := range f.Fields {
		all = append(all, field.Names...)
	}
	return append(all, retryNames...)
}

func (f *Form[C]) inText(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: config: %w", f.Package, err)
}

// shown returns a value as an error may show it.
func (f *Field[C]) shown(value any) any {
	if f.Secret {
		return secret.Mask
	}
	switch value := value.(type) {
	case string:
		return strconv.Quote(value)
	case bool, int, int64, uint64, float64, json.Number:
		return value
	}
	return "this value"
}

// oneOf returns the value that stands under one of the names, and nil if none does.
func oneOf(values map[string]any, names []string) (name string, value any, err error) {
	for _, n := range names {
		v, there := values[n]
		if !there || v == nil {
			continue
		}
		if value != nil {
			return "", nil, NotAllowed(n, "a second value", "either "+name+" or "+n)
		}
		name, value = n, v
	}
	return name, value, nil
}

// setRetry decodes part through JSON, so that it is for package retry to say what may stand
// there.
func setRetry(c *retry.Config, name string, part any) error {
	fields, ok := stringKeys(part)
	if !ok {
		return NotAllowed(name, "this value", "the fields of a retry.Config")
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return NotAllowed(name, "this value", "the fields of a retry.Config")
	}
	return Within(name, c.UnmarshalJSON(data))
}

// stringKeys returns a map of a decoder as one by strings: yaml.v2 makes others.
func stringKeys(value any) (map[string]any, bool) {
	switch value := value.(type) {
	case map[string]any:
		return value, true
	case map[any]any:
		fields := make(map[string]any, len(value))
		for key, v := range value {
			fields[fmt.Sprint(key)] = v
		}
		return fields, true
	}
	return nil, false
}

// Within puts the name of a part before that of its field, if err names one.
func Within(part string, err error) error {
	wrong, ok := errors.AsType[*retry.ConfigError](err)
	if !ok {
		return err
	}
	return NotAllowed(part+"."+wrong.Field, wrong.Value, wrong.Want)
}

// NotAllowed returns the error of a field.
func NotAllowed(field string, value any, want string) error {
	return &retry.ConfigError{Field: field, Value: value, Want: want}
}

// Merge returns preset with what c sets. c must be valid.
func Merge(preset, c retry.Config) (retry.Config, error) {
	set, err := json.Marshal(c) // only what is set
	if err == nil {
		err = json.Unmarshal(set, &preset)
	}
	return preset, err
}

// String is a field that is a text.
func String[C any](at func(*C) *string, names ...string) Field[C] {
	return Field[C]{
		Names: names,
		Set: func(c *C, value any) string {
			s, ok := value.(string)
			if !ok {
				return "a text"
			}
			*at(c) = s
			return ""
		},
		Get: func(c *C) any { return unlessZero(*at(c)) },
	}
}

// Secret is a field that is not shown. It is written as a mask, which it does not read.
func Secret[C any](at func(*C) *secret.Secret, names ...string) Field[C] {
	return Field[C]{
		Names: names, Secret: true,
		Set: func(c *C, value any) string {
			s, ok := value.(string)
			if !ok {
				return "a text"
			}
			if at(c).UnmarshalText([]byte(s)) != nil {
				return "the secret itself, which is never written"
			}
			return ""
		},
		Get: func(c *C) any { return unlessZero(at(c).String()) },
	}
}

// Bool is a field that is true or false.
func Bool[C any](at func(*C) *bool, names ...string) Field[C] {
	return Field[C]{
		Names: names,
		Set: func(c *C, value any) string {
			b, err := strconv.ParseBool(fmt.Sprint(value))
			if err != nil {
				return "true or false"
			}
			*at(c) = b
			return ""
		},
		Get: func(c *C) any { return unlessZero(*at(c)) },
	}
}

// Duration is a field that is a time, of at least 0, of which 0s means none. Go says that by
// the value none, as 0 is the default there.
func Duration[C any](at func(*C) *time.Duration, none time.Duration, names ...string) Field[C] {
	return Field[C]{
		Names: names,
		Set: func(c *C, value any) string {
			text, ok := value.(string)
			d, err := time.ParseDuration(text)
			switch {
			case !ok || err != nil:
				return `a duration with its unit, as in "90s"`
			case d < 0:
				return "at least 0s; 0s is none"
			case d == 0:
				d = none
			}
			*at(c) = d
			return ""
		},
		Get: func(c *C) any {
			if *at(c) == none {
				return "0s"
			}
			return unlessZero(*at(c))
		},
	}
}

// unlessZero returns v as text writes it, and nil for the zero value.
func unlessZero[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	if text, ok := any(v).(fmt.Stringer); ok {
		return text.String()
	}
	return v
}
