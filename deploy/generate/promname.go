package main

import (
	"slices"
	"strings"
)

// unitWords are the units that are written out in the names of Prometheus. The registry has no
// others; the translation knows more.
var unitWords = map[string]string{"s": "seconds", "ms": "milliseconds", "By": "bytes"}

// perWords are the units after a slash.
var perWords = map[string]string{"s": "second"}

// promName returns the name of a metric in Prometheus, as the OTLP receiver has it by default:
// underscores, the unit, and a suffix for the kind. The series of a histogram have _bucket, _sum and
// _count after that.
func promName(m metric) string {
	words := strings.FieldsFunc(m.name, func(c rune) bool { return c == '.' || c == '_' || c == '-' })
	unit, per, _ := strings.Cut(m.unit, "/")
	add := func(word string) {
		if word != "" && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	add(unitWords[unit]) // of things, such as {call}, there is no word
	if word := perWords[per]; word != "" {
		add("per_" + word)
	}
	last := func(word string) {
		words = append(slices.DeleteFunc(words, func(w string) bool { return w == word }), word)
	}
	switch {
	case m.instrument == "counter":
		last("total")
	case m.instrument == "gauge" && m.unit == "1":
		last("ratio")
	}
	return strings.Join(words, "_")
}

// label returns the name of an attribute as a label in Prometheus.
func label[A ~string](attribute A) string {
	return strings.ReplaceAll(string(attribute), ".", "_")
}
