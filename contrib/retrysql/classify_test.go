package retrysql_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retrysql"
	"github.com/observable-go/toolkit/resilience"
)

// stateError is what drivers of PostgreSQL return.
type stateError string

func (e stateError) Error() string    { return "server: " + string(e) }
func (e stateError) SQLState() string { return string(e) }

// mysqlError is what that of MySQL returns: a code without a method.
type mysqlError struct {
	number uint16
	state  [5]byte
}

func (e *mysqlError) Error() string { return fmt.Sprintf("Error %d (%s)", e.number, e.state) }

func TestClassify(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	for _, tt := range []struct {
		err       error
		want      resilience.Class
		errorType string
	}{
		{nil, resilience.ClassUnknown, ""},
		{own, resilience.ClassUnknown, "_OTHER"},
		{stateError("40000"), resilience.ClassRetryable, "40000"},
		{stateError("40001"), resilience.ClassRetryable, "40001"},
		{stateError("40P01"), resilience.ClassRetryable, "40P01"},
		{stateError("40002"), resilience.ClassPermanent, "40002"},
		{stateError("40003"), resilience.ClassRetryable, "40003"},
		{stateError("55P03"), resilience.ClassRetryable, "55P03"},
		{stateError("55006"), resilience.ClassPermanent, "55006"},
		{stateError("08006"), resilience.ClassRetryable, "08006"},
		{stateError("08P01"), resilience.ClassRetryable, "08P01"},
		{stateError("57P01"), resilience.ClassRetryable, "57P01"},
		{stateError("57P02"), resilience.ClassRetryable, "57P02"},
		{stateError("57P03"), resilience.ClassRetryable, "57P03"},
		{stateError("57P04"), resilience.ClassPermanent, "57P04"},
		{stateError("57P05"), resilience.ClassRetryable, "57P05"},
		{stateError("57014"), resilience.ClassUnknown, "57014"},
		{stateError("53300"), resilience.ClassRetryable, "53300"},
		{stateError("53100"), resilience.ClassPermanent, "53100"},
		{stateError("23505"), resilience.ClassPermanent, "23505"},
		{stateError("25P02"), resilience.ClassPermanent, "25P02"},
		{stateError("XX000"), resilience.ClassPermanent, "XX000"},
		{fmt.Errorf("saving: %w", stateError("40001")), resilience.ClassRetryable, "40001"},
		{errors.Join(own, stateError("40001")), resilience.ClassRetryable, "40001"},
		{stateError(""), resilience.ClassUnknown, "retrysql_test.stateError"},
		{stateError("4000"), resilience.ClassUnknown, "retrysql_test.stateError"},
		{stateError("40 01"), resilience.ClassUnknown, "retrysql_test.stateError"},
		{stateError("40p01"), resilience.ClassUnknown, "retrysql_test.stateError"},
		{driver.ErrBadConn, resilience.ClassRetryable, "connection_lost"},
		{fmt.Errorf("read: %w", io.EOF), resilience.ClassRetryable, "connection_lost"},
		{net.ErrClosed, resilience.ClassRetryable, "connection_lost"},
		// What resilience.Classify knows by itself, or what says so itself.
		{io.ErrUnexpectedEOF, resilience.ClassUnknown, "unexpected_eof"},
		{syscall.ECONNRESET, resilience.ClassUnknown, "connection_reset"},
		{context.Canceled, resilience.ClassUnknown, "canceled"},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, io.EOF), resilience.ClassUnknown, "timeout"},
		{resilience.Permanent(stateError("40001")), resilience.ClassUnknown, "retrysql_test.stateError"},
		{resilience.Retryable(stateError("23505")), resilience.ClassUnknown, "retrysql_test.stateError"},
		{resilience.Refused(stateError("40001")), resilience.ClassUnknown, "retrysql_test.stateError"},
	} {
		assert.Equal(t, tt.want, retrysql.Classify(tt.err), "%v", tt.err)

		// A runner returns the same error, with the class for any policy.
		_, err := retrysql.Read(t.Context(), nil, func(context.Context) (int, error) { return 0, tt.err })
		require.ErrorIs(t, err, tt.err)
		assert.Equal(t, tt.errorType, resilience.ErrorType(err), "%v", tt.err)
		want := tt.want
		if want == resilience.ClassUnknown {
			want = resilience.Classify(tt.err)
		}
		assert.Equal(t, want, resilience.Classify(err), "%v", tt.err)
		assert.Equal(t, errors.Is(err, stateError("53300")), resilience.Throttled(err), "%v", tt.err)
		if err != nil {
			assert.Equal(t, tt.err.Error(), err.Error())
		}
	}
}

// What a policy is told stands before the codes, as their class is the error's own word.
func TestPoliciesOverrideCodes(t *testing.T) {
	t.Parallel()
	_, err := retrysql.Read(t.Context(), nil, func(context.Context) (int, error) { return 0, stateError("23505") })
	rules := resilience.Rules{Retryable: []resilience.Matcher{resilience.MatchIs(stateError("23505"))}}
	assert.Equal(t, resilience.ClassRetryable, rules.Classify(err))
}

func TestWithClassifier(t *testing.T) {
	t.Parallel()
	r := retrysql.MustNew(nil, retrysql.WithClassifier(func(err error) resilience.Class {
		switch {
		case errors.Is(err, stateError("23505")):
			return resilience.ClassRetryable
		case errors.Is(err, stateError("55P03")):
			return resilience.ClassPermanent
		case errors.Is(err, stateError("53300")):
			return resilience.ClassRefused
		}
		return resilience.ClassUnknown
	}))
	for state, want := range map[stateError]resilience.Class{
		"23505": resilience.ClassRetryable,
		"55P03": resilience.ClassPermanent,
		"53300": resilience.ClassRefused,
		"40001": resilience.ClassRetryable,
	} {
		_, err := retrysql.Read(t.Context(), r, func(context.Context) (int, error) { return 0, state })
		assert.Equal(t, want, resilience.Classify(err), state)
		assert.Equal(t, string(state), resilience.ErrorType(err))
		_, err = retrysql.Statement(t.Context(), r, func(context.Context) (int, error) { return 0, state })
		assert.Equal(t, want, resilience.Classify(err), state)
	}
}

func TestWithSQLState(t *testing.T) {
	t.Parallel()
	r := retrysql.MustNew(nil, retrysql.WithSQLState(func(err error) string {
		failure, ok := errors.AsType[*mysqlError](err)
		if !ok {
			return ""
		}
		switch failure.number {
		case 1205:
			return "55P03"
		case 1040:
			return "53300"
		}
		return string(failure.state[:])
	}))
	for _, tt := range []struct {
		err       error
		want      resilience.Class
		errorType string
		throttled bool
	}{
		{&mysqlError{1213, [5]byte([]byte("40001"))}, resilience.ClassRetryable, "40001", false},
		{&mysqlError{1205, [5]byte([]byte("HY000"))}, resilience.ClassRetryable, "55P03", false},
		{&mysqlError{1040, [5]byte([]byte("08004"))}, resilience.ClassRetryable, "53300", true},
		{&mysqlError{1062, [5]byte([]byte("23000"))}, resilience.ClassPermanent, "23000", false},
		{&mysqlError{1, [5]byte{}}, resilience.ClassUnknown, "*retrysql_test.mysqlError", false},
		{stateError("40001"), resilience.ClassRetryable, "40001", false},
	} {
		_, err := retrysql.Read(t.Context(), r, func(context.Context) (int, error) { return 0, tt.err })
		assert.Equal(t, tt.want, resilience.Classify(err), "%v", tt.err)
		assert.Equal(t, tt.errorType, resilience.ErrorType(err), "%v", tt.err)
		assert.Equal(t, tt.throttled, resilience.Throttled(err), "%v", tt.err)
	}
}

// FuzzSQLState: whatever a driver calls a SQLSTATE, the class is one of three and the name in
// telemetry is bounded.
func FuzzSQLState(f *testing.F) {
	for _, seed := range []string{"", "40001", "4", "40p01", "40\x0001", "éa00", "0000000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, state string) {
		err := stateError(state)
		assert.LessOrEqual(t, retrysql.Classify(err), resilience.ClassPermanent)
		_, err2 := retrysql.Statement(t.Context(), nil, func(context.Context) (int, error) { return 0, err })
		require.ErrorIs(t, err2, err)
		assert.LessOrEqual(t, len(resilience.ErrorType(err2)), 64)
	})
}
