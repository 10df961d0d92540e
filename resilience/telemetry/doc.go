// Package telemetry is how the policies of this toolkit show what they decide: the
// only package that knows OpenTelemetry. Users meet its options, which every policy
// and budget takes by its WithTelemetry, and its names.
//
// Without options metrics go to the global meter provider, and events to the span of
// the caller's context if that records. A service that sets up OpenTelemetry sees its
// retries without further wiring; one that does not pays next to nothing.
//
//	policy, err := retry.New("inventory.get", retry.WithTelemetry(
//		telemetry.WithSpans(),
//		telemetry.WithLogger(slog.Default()),
//	))
//
// The global providers are resolved when a policy or a budget is made. They may be set
// before or after that. As the OpenTelemetry API defines it, only the first provider
// that is set takes over what was made before.
//
// Durations are in seconds. The number of an attempt is never an attribute of a
// metric, nor is the text of an error. Names of policies and budgets, and error
// types, are bounded in number. Text that is shown in spans and logs is redacted by
// [ErrorText].
//
// [Retry], [RetryCall], [RetryEnd], [Failure], [Budget] and [BudgetLevel] are for the
// policies of this toolkit. They are not part of the compatibility promise.
package telemetry
