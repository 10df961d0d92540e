package breaker

import (
	"context"

	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/telemetry"
)

var isCanceled = resilience.MatchIs(context.Canceled)

// judge returns what the error of a call says about the callee.
func (b *Breaker) judge(ctx context.Context, err error) telemetry.Result {
	if err == nil {
		return telemetry.ResultSuccess
	}
	ended := ctx.Err()
	if isCanceled(ended) {
		return telemetry.ResultIgnored // the caller has gone, whatever came of it
	}
	for _, match := range b.ignored {
		if match(err) {
			return telemetry.ResultIgnored
		}
	}
	failure, asked := resilience.CalleeError(err)
	if !asked {
		return telemetry.ResultIgnored
	}
	rules := b.rules
	if ended != nil {
		// The time was over. Unless somebody has an opinion on the error itself, it is a
		// timeout, whatever the operation calls it.
		rules.WithoutKnown, rules.Unknown = true, resilience.ClassRetryable
	}
	switch rules.Classify(failure) {
	case resilience.ClassRefused: // by the classifier, or as what is unknown
		return telemetry.ResultIgnored
	case resilience.ClassPermanent:
		switch {
		case !isCanceled(failure):
			return telemetry.ResultSuccess
		case ended != nil: // a classifier took the end of the time for that
			return telemetry.ResultFailure
		}
		return telemetry.ResultIgnored // something cancelled the operation from within
	default:
		return telemetry.ResultFailure
	}
}
