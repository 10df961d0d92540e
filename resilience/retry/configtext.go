package retry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/observable-go/toolkit/resilience/backoff"
)

// textField is a field of Config as it stands in JSON, YAML and the environment.
type textField struct {
	name string
	bit  fieldSet
	// set reads a value as a decoder gives it. It returns what would be allowed if the
	// value cannot be read; whether it is in range is Validate's to say.
	set func(c *Config, value any) (want string)
	get func(c *Config) any
}

var textFields = []textField{
	{"max_retries", setMaxRetries,
		func(c *Config, v any) string { return readInt(&c.MaxRetries, v) },
		func(c *Config) any { return c.MaxRetries }},
	durationField("initial_delay", setInitialDelay, func(c *Config) *time.Duration { return &c.InitialDelay }),
	durationField("max_delay", setMaxDelay, func(c *Config) *time.Duration { return &c.MaxDelay }),
	{"exponential_base", setExponentialBase,
		func(c *Config, v any) string { return readFloat(&c.ExponentialBase, v) },
		func(c *Config) any { return c.ExponentialBase }},
	{"jitter", setJitter,
		func(c *Config, v any) string { return readJitter(&c.Jitter, v) },
		func(c *Config) any { return c.Jitter.String() }},
	durationField("attempt_timeout", setAttemptTimeout, func(c *Config) *time.Duration { return &c.AttemptTimeout }),
	durationField("max_elapsed", setMaxElapsed, func(c *Config) *time.Duration { return &c.MaxElapsed }),
	durationField("max_pushback", setMaxPushback, func(c *Config) *time.Duration { return &c.MaxPushback }),
}

func durationField(name string, bit fieldSet, at func(*Config) *time.Duration) textField {
	return textField{name, bit,
		func(c *Config, v any) string { return readDuration(at(c), v) },
		func(c *Config) any { return at(c).String() }}
}

// UnmarshalJSON implements [json.Unmarshaler].
func (c *Config) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // a large integer is not to lose digits on its way
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return inText(err)
	}
	return c.setAll(values)
}

// UnmarshalYAML reads YAML. It is found by the YAML packages that follow
// gopkg.in/yaml.v2, as v3, its successor go.yaml.in/yaml and goccy/go-yaml do.
func (c *Config) UnmarshalYAML(unmarshal func(any) error) error {
	var values map[string]any
	if err := unmarshal(&values); err != nil {
		return inText(err)
	}
	return c.setAll(values)
}

// UnmarshalEnv reads the environment variables of that prefix: with the prefix
// "INVENTORY_RETRY_" they are INVENTORY_RETRY_MAX_RETRIES and so on, a field's name
// in upper case each. Variables that are not there or empty leave their field as it
// is.
func (c *Config) UnmarshalEnv(prefix string) error {
	next := *c
	for _, f := range textFields {
		name := prefix + strings.ToUpper(f.name)
		text := strings.TrimSpace(os.Getenv(name))
		if text == "" {
			continue
		}
		if want := f.set(&next, text); want != "" {
			return inText(&ConfigError{Field: name, Value: strconv.Quote(text), Want: want})
		}
		next.explicit |= f.bit
	}
	if err := next.Validate(); err != nil {
		if outOfRange, ok := errors.AsType[*ConfigError](err); ok {
			outOfRange.Field = prefix + strings.ToUpper(outOfRange.Field)
		}
		return inText(err)
	}
	*c = next
	return nil
}

// MarshalJSON implements [json.Marshaler]. It writes what UnmarshalJSON would read:
// the fields that are set.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.texts()) }

// MarshalYAML writes what UnmarshalYAML would read.
func (c Config) MarshalYAML() (any, error) { return c.texts(), nil }

func (c Config) texts() map[string]any {
	if c.MaxRetries == NoRetries {
		c.MaxRetries, c.explicit = 0, c.explicit|setMaxRetries
	}
	values := make(map[string]any)
	for _, f := range textFields {
		value := f.get(&c)
		if c.explicit&f.bit != 0 || value != f.get(&Config{}) {
			values[f.name] = value
		}
	}
	return values
}

// setAll sets the fields in values, all of them or none.
func (c *Config) setAll(values map[string]any) error {
	next := *c
	for _, name := range sortedKeys(values) {
		value := values[name]
		i := slices.IndexFunc(textFields, func(f textField) bool { return f.name == name })
		if i < 0 {
			return inText(&ConfigError{Field: strconv.Quote(name), Value: "this name", Want: "one of " + fieldNames()})
		}
		if value == nil {
			continue
		}
		f := textFields[i]
		if want := f.set(&next, value); want != "" {
			if s, ok := value.(string); ok {
				value = strconv.Quote(s)
			}
			return inText(&ConfigError{Field: f.name, Value: value, Want: want})
		}
		next.explicit |= f.bit
	}
	return next.into(c)
}

func (c Config) into(target *Config) error {
	if err := c.Validate(); err != nil {
		return inText(err)
	}
	*target = c
	return nil
}

func inText(err error) error { return fmt.Errorf("retry: config: %w", err) }

// sortedKeys makes the first error the same at every run.
func sortedKeys(values map[string]any) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func fieldNames() string {
	names := make([]string, len(textFields))
	for i, f := range textFields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// The functions below read a value as a decoder or the environment gives it, and
// return what they would have wanted if they cannot.

func readInt(target *int, value any) string {
	text := number(value)
	n, err := strconv.ParseInt(text, 10, 0)
	if err == nil && n != NoRetries { // which is for Go alone
		*target = int(n)
		return ""
	}
	// A decoder may have made a floating-point number of it, as of 1e3.
	if x, err := strconv.ParseFloat(text, 64); err == nil && x == math.Trunc(x) && math.Abs(x) <= maxMaxRetries {
		*target = int(x)
		return ""
	}
	return fmt.Sprintf("a whole number of 0 to %d", maxMaxRetries)
}

func readFloat(target *float64, value any) string {
	x, err := strconv.ParseFloat(number(value), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return "a finite number of at least 1"
	}
	*target = x
	return ""
}

// number returns a number as text, and what is no number as a text that is none.
func number(value any) string {
	switch value.(type) {
	case int, int64, uint64, float64, string, json.Number:
		return fmt.Sprint(value)
	}
	return "no number"
}

func readDuration(target *time.Duration, value any) string {
	text, ok := value.(string)
	d, err := time.ParseDuration(text)
	if !ok || err != nil {
		return `a duration with its unit, as in "1.5s" or "200ms"`
	}
	*target = d
	return ""
}

// readJitter also reads a truth value: whether there is jitter.
func readJitter(target *backoff.Jitter, value any) string {
	switch strings.ToLower(fmt.Sprint(value)) {
	case "true":
		*target = backoff.FullJitter
		return ""
	case "false":
		*target = backoff.NoJitter
		return ""
	}
	text, _ := value.(string)
	if target.UnmarshalText([]byte(text)) != nil {
		return backoff.JitterNames + ", or true or false"
	}
	return ""
}
