package inspect_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/resilience/inspect"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	const wantURL = " is not allowed: want an http or https URL with {trace_id} in it and without a password"
	for _, c := range []struct {
		option inspect.Option
		want   string
	}{
		{inspect.WithTitle(""), `inspect: title: "" is not allowed: want 1 to 128 bytes`},
		{inspect.WithTitle(strings.Repeat("x", 129)), `inspect: title: "` + strings.Repeat("x", 128) + `" is not allowed: want 1 to 128 bytes`},
		{inspect.WithMeterProvider(nil), "inspect: meter_provider: nil is not allowed: want a meter provider"},
		{inspect.WithTraceURL(""), `inspect: trace_url: ""` + wantURL},
		{inspect.WithTraceURL("http://jaeger/"), `inspect: trace_url: "http://jaeger/"` + wantURL},
		{inspect.WithTraceURL("javascript:alert('{trace_id}')"), `inspect: trace_url: "javascript:alert('{trace_id}')"` + wantURL},
		{inspect.WithTraceURL("/trace/{trace_id}"), `inspect: trace_url: "/trace/{trace_id}"` + wantURL},
		{inspect.WithTraceURL("http://u:p@h/{trace_id}"), `inspect: trace_url: "http://u:p@h/{trace_id}"` + wantURL},
		{inspect.WithTraceURL("http://h/%zz{trace_id}"), `inspect: trace_url: "http://h/%zz{trace_id}"` + wantURL},
		{inspect.WithTraceURL("https://grafana.example.com/explore?q={trace_id}&s={span_id}"), ""},
		{nil, ""},
	} {
		page, err := inspect.New(c.option)
		if c.want != "" {
			assert.EqualError(t, err, c.want)
			assert.Nil(t, page)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, page.Close())
		require.NoError(t, page.Close(), "twice")
	}
}

func TestHealthOptions(t *testing.T) {
	t.Parallel()
	ok := func(context.Context) error { return nil }
	for want, options := range map[string][]inspect.HealthOption{
		`inspect: health: check: name: "" is not allowed: want 1 to 128 bytes of printable UTF-8`:            {inspect.WithCheck("", ok)},
		`inspect: health: check: "db": nil is not allowed: want a function`:                                  {inspect.WithCheck("db", nil)},
		`inspect: health: check: "db" is not allowed: want a name that no other check has`:                   {inspect.WithCheck("db", ok), inspect.WithOptionalCheck("db", ok)},
		`inspect: health: required_breaker: name: "" is not allowed: want 1 to 128 bytes of printable UTF-8`: {inspect.WithRequiredBreaker("")},
		`inspect: health: check_timeout: 0s is not allowed: want 1ms to 1m0s`:                                {inspect.WithCheckTimeout(0)},
		`inspect: health: check_timeout: 1h0m0s is not allowed: want 1ms to 1m0s`:                            {inspect.WithCheckTimeout(time.Hour)},
		`inspect: health: check_age: -1ns is not allowed: want 0s to 5m0s`:                                   {inspect.WithCheckAge(-1)},
		`inspect: health: meter_provider: nil is not allowed: want a meter provider`:                         {inspect.WithHealthMeterProvider(nil)},
	} {
		h, err := inspect.NewHealth(options...)
		assert.EqualError(t, err, want)
		assert.Nil(t, h)
	}
	_, err := inspect.NewHealth(nil)
	assert.NoError(t, err)
}
