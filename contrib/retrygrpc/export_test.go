package retrygrpc

// What the fuzz tests look at.
var (
	RetryAfter     = retryAfter
	PushbackMillis = pushbackMillis
	RetryInfo      = retryInfo
)
