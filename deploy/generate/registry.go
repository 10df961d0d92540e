package main

import (
	"fmt"
	"os"
	"slices"

	"gopkg.in/yaml.v3"
)

// A registry is what the toolkit emits: the metrics with their kinds and units, and the values that
// an attribute can have, as docs/semconv/resilience.yaml has them.
type registry struct {
	metrics map[string]metric
	values  map[string][]string
}

// A metric is one row of the registry.
type metric struct {
	name       string
	instrument string // counter, updowncounter, gauge or histogram
	unit       string
}

// registryFile is the registry in the YAML of OpenTelemetry Weaver, as far as it is read here.
type registryFile struct {
	Groups []struct {
		Type       string `yaml:"type"`
		MetricName string `yaml:"metric_name"`
		Instrument string `yaml:"instrument"`
		Unit       string `yaml:"unit"`
		Attributes []struct {
			ID   string    `yaml:"id"`
			Type yaml.Node `yaml:"type"`
		} `yaml:"attributes"`
	} `yaml:"groups"`
}

// enumeration is the type of an attribute that has few values.
type enumeration struct {
	Members []struct {
		Value string `yaml:"value"`
	} `yaml:"members"`
}

// readRegistry reads the registry from a file.
func readRegistry(path string) (*registry, error) {
	text, err := os.ReadFile(path) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	var file registryFile
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &registry{metrics: map[string]metric{}, values: map[string][]string{}}
	for _, group := range file.Groups {
		if group.Type == "metric" {
			r.metrics[group.MetricName] = metric{group.MetricName, group.Instrument, group.Unit}
		}
		for _, attribute := range group.Attributes {
			if attribute.Type.Kind != yaml.MappingNode {
				continue
			}
			var enum enumeration
			if err := attribute.Type.Decode(&enum); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, attribute.ID, err)
			}
			for _, member := range enum.Members {
				r.values[attribute.ID] = append(r.values[attribute.ID], member.Value)
			}
		}
	}
	if len(r.metrics) == 0 {
		return nil, fmt.Errorf("%s has no group of the type metric", path)
	}
	return r, nil
}

// metric returns a metric by its name. A name that the registry does not have is a mistake in this
// program, which cannot go on with it.
func (r *registry) metric(name string) metric {
	m, ok := r.metrics[name]
	if !ok {
		panic(fmt.Sprintf("the metric %q is not in the registry", name))
	}
	return m
}

// check panics if an attribute never has that value.
func (r *registry) check(attribute, value string) {
	if all, ok := r.values[attribute]; ok && !slices.Contains(all, value) {
		panic(fmt.Sprintf("the attribute %s has no value %q: want one of %q", attribute, value, all))
	}
}
