package inspect

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// text returns the state for a terminal: figures of the last minute, and the latest calls
// in trouble.
func (s *state) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s on %s at %s, watched since %s\n", s.Title, s.Instance,
		s.Now.Format(time.RFC3339), s.Since.Format(time.RFC3339))
	b.WriteString("Rates and shares are of the last minute.\n")
	if len(s.Policies)+len(s.Budgets)+len(s.Guards) == 0 {
		b.WriteString("\nThere is no policy, budget or guard yet.\n")
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(&b, "\nWARNING: %s: the composition of policies is wrong: %s\n", w.Policy, w.Reason)
	}
	s.policiesText(&b)
	s.budgetsText(&b)
	s.guardsText(&b)
	s.troubledText(&b)
	return b.Bytes()
}

// perMinute is how many samples are a minute.
const perMinute = int(time.Minute / interval)

// minute returns the sum over the last minute and its rate a second.
func minute(v values) (sum, rate float64) {
	known := 0
	for _, x := range v[max(0, len(v)-perMinute):] {
		if !math.IsNaN(float64(x)) {
			sum += float64(x)
			known++
		}
	}
	if known == 0 {
		return 0, 0
	}
	return sum, sum / (float64(known) * interval.Seconds())
}

func percent(part, whole float64) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*part/whole)
}

func table(b *bytes.Buffer, header string, rows func(w *tabwriter.Writer)) {
	b.WriteByte('\n')
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	rows(w)
	_ = w.Flush() // into memory
}

func (s *state) policiesText(b *bytes.Buffer) {
	if len(s.Policies) == 0 {
		return
	}
	const header = "POLICY\tCALLS/S\tRETRIED\tSAVED\tFAILED\tRETRIES/CALL\tOUTCOMES SINCE THE START\tERRORS SINCE THE START"
	table(b, header, func(w *tabwriter.Writer) {
		for i := range s.Policies {
			p := &s.Policies[i]
			calls, rate := minute(p.History.Calls)
			retried, _ := minute(p.History.Retried)
			failed, _ := minute(p.History.Failed)
			saved, _ := minute(p.History.Saved)
			retries, _ := minute(p.History.Retries)
			perCall := "-"
			if calls > 0 {
				perCall = fmt.Sprintf("%.2f", retries/calls)
			}
			fmt.Fprintf(w, "%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, rate, percent(retried, calls),
				percent(saved, calls), percent(failed, calls), perCall, counts(p.Calls), counts(p.Errors))
		}
	})
}

func (s *state) budgetsText(b *bytes.Buffer) {
	if len(s.Budgets) == 0 {
		return
	}
	table(b, "BUDGET\tTOKENS\tOF\tGRANTED\tDENIED\tREFUNDED", func(w *tabwriter.Writer) {
		for _, budget := range s.Budgets {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\n", budget.Name, known("%.1f", budget.Tokens), known("%.0f", budget.Capacity),
				budget.Granted, budget.Denied, budget.Refunded)
		}
	})
	s.sharedText(b)
}

// sharedText shows what budgets have that replicas share.
func (s *state) sharedText(b *bytes.Buffer) {
	shared := slices.DeleteFunc(slices.Clone(s.Budgets), func(b budgetState) bool { return b.Shared == nil })
	if len(shared) == 0 {
		return
	}
	table(b, "SHARED BUDGET\tMODE\tTOKENS OF ALL\tOF\tEXCHANGES\tCHANGES OF MODE\tLATEST ERROR", func(w *tabwriter.Writer) {
		for _, budget := range shared {
			sh := budget.Shared
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", budget.Name, cmp.Or(sh.Mode, "ended"), known("%.0f", sh.Tokens),
				known("%.0f", sh.Capacity), counts(sh.Exchanges), counts(sh.Changes), sh.Error)
		}
	})
}

// known shows a number, or that nobody knows it.
func known(format string, n number) string {
	if math.IsNaN(float64(n)) {
		return "-"
	}
	return fmt.Sprintf(format, float64(n))
}

func (s *state) guardsText(b *bytes.Buffer) {
	if len(s.Guards) == 0 {
		return
	}
	table(b, "GUARD\tKIND\tSTATE\tRESULTS\tLEVELS", func(w *tabwriter.Writer) {
		for i := range s.Guards {
			g := &s.Guards[i]
			levels := make([]string, 0, len(g.Levels))
			for name, level := range g.Levels {
				if !math.IsNaN(float64(level)) {
					levels = append(levels, fmt.Sprintf("%s=%.4g", name, float64(level)))
				}
			}
			slices.Sort(levels)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", g.Name, g.Kind, g.State, counts(g.Results), strings.Join(levels, " "))
		}
	})
}

// shownCalls is how many of the latest troubled calls the text shows.
const shownCalls = 20

func (s *state) troubledText(b *bytes.Buffer) {
	type call struct {
		policy string
		*troubledCall
	}
	var calls []call
	for i := range s.Policies {
		for n := range s.Policies[i].Troubled {
			calls = append(calls, call{s.Policies[i].Name, &s.Policies[i].Troubled[n]})
		}
	}
	slices.SortFunc(calls, func(a, b call) int { return -a.Began.Compare(b.Began) })
	for _, c := range calls[:min(len(calls), shownCalls)] {
		fmt.Fprintf(b, "\n%s  %s: %s", c.Began.Format("15:04:05.000"), c.policy, c.Outcome)
		if c.Reason != "" {
			fmt.Fprintf(b, " (%s)", c.Reason)
		}
		if c.Budget != "" {
			fmt.Fprintf(b, ", budget %s", c.Budget)
		}
		fmt.Fprintf(b, ", %d of %d attempts in %.3f s", c.Attempts, c.Max, c.Duration)
		if c.TraceID != "" {
			fmt.Fprintf(b, ", trace %s", c.TraceID)
		}
		b.WriteByte('\n')
		for i := range c.Timeline {
			a := &c.Timeline[i]
			start := "      ?"
			if a.Start != nil {
				start = fmt.Sprintf("%7.3f", *a.Start)
			}
			fmt.Fprintf(b, "  %d  %s to %7.3f s  %s", a.Attempt, start, a.End, result(a))
			if a.Delay != nil {
				fmt.Fprintf(b, "; waits %.3f s", *a.Delay)
			}
			b.WriteByte('\n')
		}
	}
}

func result(a *troubledAttempt) string {
	if a.ErrorType == "" {
		return "succeeded"
	}
	return a.ErrorType + ": " + a.Error
}

// counts returns counts in order, without those that are 0.
func counts(byName map[string]int64) string {
	texts := make([]string, 0, len(byName))
	for name, n := range byName {
		if n > 0 {
			texts = append(texts, fmt.Sprintf("%s=%d", name, n))
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}
