package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A Prometheus is a server that takes metrics over OTLP and keeps exemplars.
type Prometheus struct {
	*Process

	// URL is where it answers.
	URL string
}

// StartPrometheus starts a Prometheus that keeps its data in dir and evaluates the rules of the
// given files each second.
func StartPrometheus(dir string, ruleFiles ...string) (*Prometheus, error) {
	program, err := Program("prometheus")
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	config.WriteString("global:\n  evaluation_interval: 1s\n")
	config.WriteString("storage:\n  exemplars:\n    max_exemplars: 100000\n")
	config.WriteString("rule_files:\n")
	for _, file := range ruleFiles {
		path, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&config, "  - %q\n", path)
	}
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		return nil, err
	}
	p := &Prometheus{}
	p.Process, err = withAddresses(1, func(ctx context.Context, addresses []string) (*Process, error) {
		p.URL = "http://" + addresses[0]
		process, err := Start("prometheus", program,
			"--config.file="+file,
			"--storage.tsdb.path="+filepath.Join(dir, "data"),
			"--web.listen-address="+addresses[0],
			"--web.enable-otlp-receiver",
			"--enable-feature=exemplar-storage")
		if err != nil {
			return nil, err
		}
		return process, process.await(ctx, func(ctx context.Context) error {
			return get(ctx, p.URL+"/-/ready", nil)
		})
	})
	return p, err
}

// OTLPMetrics is the URL to which metrics are sent.
func (p *Prometheus) OTLPMetrics() string { return p.URL + "/api/v1/otlp/v1/metrics" }

// A Sample is a series with its value now.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Query returns the answer to an instant query, which must be a vector or a scalar.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Sample, error) {
	var answer struct {
		Type   string          `json:"resultType"` //nolint:tagliatelle // named by Prometheus
		Result json.RawMessage `json:"result"`
	}
	if err := p.api(ctx, "query", url.Values{"query": {expr}}, &answer); err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, err)
	}
	if answer.Type == "scalar" {
		var value point
		err := json.Unmarshal(answer.Result, &value)
		return []Sample{{Value: value.value}}, err
	}
	var vector []struct {
		Metric map[string]string `json:"metric"`
		Value  point             `json:"value"`
	}
	if err := json.Unmarshal(answer.Result, &vector); err != nil {
		return nil, fmt.Errorf("query %s has no vector: %w", expr, err)
	}
	samples := make([]Sample, 0, len(vector))
	for _, series := range vector {
		samples = append(samples, Sample{Labels: series.Metric, Value: series.Value.value})
	}
	return samples, nil
}

// A point is a time and a value, as [seconds, "value"].
type point struct{ value float64 }

func (p *point) UnmarshalJSON(text []byte) error {
	var pair [2]any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	number, ok := pair[1].(string)
	if !ok {
		return fmt.Errorf("%s is no sample", text)
	}
	var err error
	p.value, err = strconv.ParseFloat(number, 64)
	return err
}

// An Exemplar is one call behind a bucket of a histogram.
type Exemplar struct {
	Series map[string]string
	Labels map[string]string
}

// Exemplars returns the exemplars of the last hour behind the series of an expression.
func (p *Prometheus) Exemplars(ctx context.Context, expr string) ([]Exemplar, error) {
	var found []struct {
		Series    map[string]string `json:"seriesLabels"` //nolint:tagliatelle // named by Prometheus
		Exemplars []struct {
			Labels map[string]string `json:"labels"`
		} `json:"exemplars"`
	}
	now := time.Now()
	err := p.api(ctx, "query_exemplars", url.Values{
		"query": {expr},
		"start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)},
		"end":   {strconv.FormatInt(now.Add(time.Minute).Unix(), 10)},
	}, &found)
	var all []Exemplar
	for _, series := range found {
		for _, exemplar := range series.Exemplars {
			all = append(all, Exemplar{Series: series.Series, Labels: exemplar.Labels})
		}
	}
	return all, err
}

// A Rule is a rule as Prometheus knows it.
type Rule struct {
	Group  string
	Type   string // recording or alerting
	Name   string
	Query  string
	Health string // ok if the last evaluation went well
	Error  string
}

// Rules returns all rules.
func (p *Prometheus) Rules(ctx context.Context) ([]Rule, error) {
	var answer struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Type   string `json:"type"`
				Name   string `json:"name"`
				Query  string `json:"query"`
				Health string `json:"health"`
				Error  string `json:"lastError"` //nolint:tagliatelle // named by Prometheus
			} `json:"rules"`
		} `json:"groups"`
	}
	err := p.api(ctx, "rules", nil, &answer)
	var all []Rule
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			all = append(all, Rule{
				Group: group.Name, Type: rule.Type, Name: rule.Name, Query: rule.Query, Health: rule.Health, Error: rule.Error,
			})
		}
	}
	return all, err
}

// An Alert is one that waits for its time, or fires.
type Alert struct {
	Labels      map[string]string
	Annotations map[string]string
	State       string // pending or firing
}

// Alerts returns the alerts of now.
func (p *Prometheus) Alerts(ctx context.Context) ([]Alert, error) {
	var answer struct{ Alerts []Alert }
	err := p.api(ctx, "alerts", nil, &answer)
	return answer.Alerts, err
}

// api decodes the data that a part of the HTTP API answers.
func (p *Prometheus) api(ctx context.Context, part string, parameters url.Values, data any) error {
	answer := struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}{}
	err := get(ctx, p.URL+"/api/v1/"+part+"?"+parameters.Encode(), &answer)
	if err != nil {
		return err
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return json.Unmarshal(answer.Data, data)
}

// get decodes the JSON at a URL into answer, if that is not nil. Any status but 200 is an error.
func get(ctx context.Context, address string, answer any) error {
	const limit = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", address, resp.Status, tail(string(body)))
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}
