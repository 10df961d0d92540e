package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/observable-go/toolkit/resilience/telemetry"
)

// barWidth is how many characters the time of a call takes.
const barWidth = 24

// writeTree draws a call as a tree of its attempts and of the waits between them, and
// lists the events of its span.
func writeTree(w io.Writer, t *callTrace) {
	fmt.Fprintf(w, "  %s: %s, %d attempts in %s\n", t.call.Name(), t.outcome(), len(t.attempts), ms(durationOf(t.call)))
	fmt.Fprintf(w, "  trace %s\n", t.call.SpanContext().TraceID())
	waits := t.waits()
	for i, a := range t.attempts {
		branch, stem := "├─", "│ "
		if i == len(t.attempts)-1 {
			branch, stem = "└─", "  "
		}
		number := valueOf(a.Attributes(), telemetry.AttrAttemptNumber).AsInt64()
		label := fmt.Sprintf("attempt %d/%d", number, valueOf(a.Attributes(), telemetry.AttrAttemptMax).AsInt64())
		result := "succeeded"
		if errorType := stringOf(a.Attributes(), telemetry.AttrErrorType); errorType != "" {
			result = "failed: " + errorType
		}
		t.writeRow(w, branch, label, "█", a.StartTime(), durationOf(a), result)
		if text := a.Status().Description; text != "" {
			fmt.Fprintf(w, "  %s   %s\n", stem, cutTo(text, 72))
		}
		if wait, ok := waits[number+1]; ok && i < len(t.attempts)-1 {
			t.writeRow(w, "├╴", "wait", "┄", a.EndTime(), wait, "")
		}
	}
	fmt.Fprintf(w, "\n  events of the call span\n")
	for _, e := range t.call.Events() {
		line := fmt.Sprintf("  %9s  %-28s  %s", ms(e.Time.Sub(t.call.StartTime())), e.Name, detailsOf(e))
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// writeRow writes a part of the call with its begin, its place in the whole and its
// duration.
func (t *callTrace) writeRow(w io.Writer, branch, label, mark string, begin time.Time, d time.Duration, result string) {
	offset := begin.Sub(t.call.StartTime())
	row := fmt.Sprintf("  %s %-11s %9s  %s %9s  %s", branch, label, ms(offset),
		bar(mark, offset, d, durationOf(t.call)), ms(d), result)
	fmt.Fprintln(w, strings.TrimRight(row, " "))
}

// waits returns the delays that were scheduled, by the number of the attempt after.
func (t *callTrace) waits() map[int64]time.Duration {
	waits := make(map[int64]time.Duration)
	for _, e := range t.call.Events() {
		if e.Name == telemetry.EventRetryScheduled {
			seconds := valueOf(e.Attributes, telemetry.AttrRetryDelay).AsFloat64()
			waits[valueOf(e.Attributes, telemetry.AttrAttemptNumber).AsInt64()] = time.Duration(seconds * float64(time.Second))
		}
	}
	return waits
}

// detailsOf returns what matters of an event in a few words.
func detailsOf(e sdktrace.Event) string {
	var details []string
	if n := valueOf(e.Attributes, telemetry.AttrAttemptNumber).AsInt64(); n > 0 {
		details = append(details, fmt.Sprintf("attempt %d", n))
	}
	if n := valueOf(e.Attributes, telemetry.AttrAttempts).AsInt64(); n > 0 {
		details = append(details, fmt.Sprintf("after %d attempts", n))
	}
	if reason := stringOf(e.Attributes, telemetry.AttrRetryReason); reason != "" {
		details = append(details, strings.TrimSpace("stopped by "+reason+" "+stringOf(e.Attributes, telemetry.AttrBudgetName)))
	} else if errorType := stringOf(e.Attributes, telemetry.AttrErrorType); errorType != "" {
		details = append(details, errorType)
	}
	if e.Name == telemetry.EventRetryScheduled {
		seconds := valueOf(e.Attributes, telemetry.AttrRetryDelay).AsFloat64()
		details = append(details, "in "+ms(time.Duration(seconds*float64(time.Second))))
	}
	return strings.Join(details, ", ")
}

// bar draws the time from offset on, d long, within the whole. What is too short to be
// seen is one mark.
func bar(mark string, offset, d, whole time.Duration) string {
	at := func(t time.Duration) int {
		return int(float64(barWidth)*float64(t)/float64(max(whole, 1)) + 0.5)
	}
	from := min(max(at(offset), 0), barWidth-1)
	to := min(max(at(offset+d), from+1), barWidth)
	return strings.Repeat(" ", from) + strings.Repeat(mark, to-from) + strings.Repeat(" ", barWidth-to)
}

func durationOf(s sdktrace.ReadOnlySpan) time.Duration { return s.EndTime().Sub(s.StartTime()) }

// ms returns d in milliseconds.
func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
}

// cutTo returns s with at most n characters. What is left out is in the middle: errors
// say first what was done and last what went wrong.
func cutTo(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	tail := (n - 1) * 2 / 3
	return string(runes[:n-1-tail]) + "…" + string(runes[len(runes)-tail:])
}
