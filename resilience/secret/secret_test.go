package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/secret"
)

const key = "sk-1234567890"

func TestNothingShowsIt(t *testing.T) {
	t.Parallel()
	type config struct {
		Key    secret.Secret
		hidden secret.Secret // fmt cannot call its methods
		Deep   []*secret.Secret
	}
	s := secret.New(key)
	c := config{s, s, []*secret.Secret{&s}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%z"} {
		for _, value := range []any{s, &s, c, &c, []any{s}, map[string]any{"a": c}} {
			printed := fmt.Sprintf(verb, value)
			assert.NotContains(t, printed, key, verb)
			assert.NotContains(t, printed, fmt.Sprintf("%x", key), verb)
		}
	}
	assert.Equal(t, "***", s.String())

	written, err := json.Marshal(map[string]any{"config": c})
	require.NoError(t, err)
	assert.NotContains(t, string(written), key)
	assert.Contains(t, string(written), `"Key":"***"`)

	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("made", "key", s, "config", c)
	}
	assert.NotContains(t, log.String(), key)
}

func TestReveal(t *testing.T) {
	t.Parallel()
	assert.Equal(t, key, secret.New(key).Reveal())
	assert.Empty(t, secret.Secret{}.Reveal())
	assert.Empty(t, secret.New("").String())
	assert.Equal(t, secret.Secret{}, secret.New(""))
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	var c struct{ Key secret.Secret }
	require.NoError(t, json.Unmarshal([]byte(`{"Key":"`+key+`"}`), &c))
	assert.Equal(t, key, c.Key.Reveal())
	require.ErrorContains(t, json.Unmarshal([]byte(`{"Key":"***"}`), &c), "want the secret itself")
	assert.Equal(t, key, c.Key.Reveal(), "it is as before")
}
