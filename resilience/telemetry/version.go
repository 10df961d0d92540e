package telemetry

// Version is the version of the toolkit, as it stands in the instrumentation scope.
const Version = "0.1.0"
