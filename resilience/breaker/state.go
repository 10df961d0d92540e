package breaker

import (
	"fmt"
	"time"
)

// A State is that of a breaker.
type State uint8

const (
	// Closed: calls pass, and their results are counted.
	Closed State = iota
	// Open: calls are rejected until the open time has passed.
	Open
	// HalfOpen: a few calls pass as probes, the others are rejected.
	HalfOpen
	// ForcedOpen: calls are rejected until Reset.
	ForcedOpen
	// Disabled: calls pass and are not counted, until Reset.
	Disabled
)

var stateNames = []string{Closed: "closed", Open: "open", HalfOpen: "half_open", ForcedOpen: "forced_open", Disabled: "disabled"}

// String returns the state in snake case, as in "half_open".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// Counts are the results that a breaker has counted in its state: those of the window if
// it is closed, those of the probes if it is half-open.
type Counts struct {
	// Calls are those that succeeded or failed; Failures and Slow are among them.
	Calls, Failures, Slow int64
	// ConsecutiveFailures is how many of the last calls failed in a row.
	ConsecutiveFailures int64
}

// FailureRatio returns the share of failures, or 0 if there are no calls.
func (c Counts) FailureRatio() float64 { return share(c.Failures, c.Calls) }

// SlowRatio returns the share of slow calls, or 0 if there are no calls.
func (c Counts) SlowRatio() float64 { return share(c.Slow, c.Calls) }

func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// A Reason says why a breaker changed its state. Telemetry shows it under
// resilience.breaker.reason.
type Reason string

// Reasons of a [Change].
const (
	// ReasonConsecutiveFailures: too many calls in a row failed.
	ReasonConsecutiveFailures Reason = "consecutive_failures"
	// ReasonFailureRatio: the share of failures in the window reached the threshold.
	ReasonFailureRatio Reason = "failure_ratio"
	// ReasonSlowRatio: the share of slow calls in the window reached the threshold.
	ReasonSlowRatio Reason = "slow_ratio"
	// ReasonOpenTimePassed: the open time has passed.
	ReasonOpenTimePassed Reason = "open_time_passed"
	// ReasonProbesSucceeded: all probes succeeded.
	ReasonProbesSucceeded Reason = "probes_succeeded"
	// ReasonProbeFailed: a probe failed or was slow.
	ReasonProbeFailed Reason = "probe_failed"
	// ReasonProbeTimeout: the probes did not end in time.
	ReasonProbeTimeout Reason = "probe_timeout"
	// ReasonForced: ForceOpen, Disable or Reset was called.
	ReasonForced Reason = "forced"
)

// A Change is a change of a breaker's state.
type Change struct {
	// Name is that of the breaker.
	Name string
	// From and To differ.
	From, To State
	Reason   Reason
	// Counts are those of the state before the change.
	Counts Counts
	// OpenFor is how long the breaker stays open, if To is Open.
	OpenFor time.Duration
}
