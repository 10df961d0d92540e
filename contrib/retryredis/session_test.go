package retryredis_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/contrib/retryredis"
	"github.com/observable-go/toolkit/resilience"
	"github.com/observable-go/toolkit/resilience/retry"
)

func TestWhatSetsUpAConnectionIsPartOfACall(t *testing.T) {
	t.Parallel()
	addr, _ := startServer(t, "")
	b := &ledger{}
	connected := 0
	client := redis.NewClient(retryredis.WithoutRetries(&redis.Options{
		Addr: addr,
		OnConnect: func(ctx context.Context, conn *redis.Conn) error {
			connected++
			return conn.Ping(ctx).Err()
		},
	}))
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, retryredis.Instrument(client, noDelay(retry.WithBudget(b))))
	require.NoError(t, client.Incr(t.Context(), "n").Err())
	assert.Equal(t, 1, connected)
	assert.Equal(t, [3]int{1, 0, 0}, b.counts())
}

func TestSubscriptionIsNoCall(t *testing.T) {
	t.Parallel()
	addr, _ := startServer(t, "")
	b := &ledger{}
	client := newClient(t, addr, noDelay(retry.WithBudget(b)))
	subscription := client.Subscribe(t.Context(), "channel")
	t.Cleanup(func() { _ = subscription.Close() })
	_, err := subscription.Receive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, [3]int{}, b.counts())
	require.NoError(t, client.Publish(t.Context(), "channel", "hello").Err())
	message, err := subscription.ReceiveMessage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "hello", message.Payload)
	assert.Equal(t, [3]int{1, 0, 0}, b.counts())
}

func TestTransactionThatWasDiscardedIsRepeated(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	ctx := t.Context()
	// MULTI and one command are taken, another one is not, so that EXEC discards all of them.
	s.proxy.arm(fault{on: "multi", times: 1, reply: "+OK\r\n+QUEUED\r\n-READONLY later\r\n-EXECABORT discarded\r\n"})
	cmds, err := s.client.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Incr(ctx, "n"); p.Incr(ctx, "m"); return nil })
	require.NoError(t, err)
	assert.Equal(t, int64(1), cmds[1].(*redis.IntCmd).Val())
	assert.Equal(t, "1", s.direct.Get(ctx, "n").Val())
}

func TestLostWatchMayBeRepeatedFromOutside(t *testing.T) {
	t.Parallel()
	s := setUp(t, noDelay())
	s.proxy.arm(fault{on: "watch", times: 1, cutAfter: true})
	err := noDelay(retry.WithUnknown(resilience.ClassRetryable)).Do(t.Context(), func(ctx context.Context) error {
		return s.client.Watch(ctx, func(tx *redis.Tx) error {
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Incr(ctx, "n"); return nil })
			return err
		}, "n")
	})
	require.NoError(t, err, "nothing was executed but the WATCH")
	assert.Equal(t, "1", s.direct.Get(t.Context(), "n").Val())
}

// go-redis gives a copy of a client by WithTimeout no hooks.
func TestCopyOfAClientIsInstrumentedByItself(t *testing.T) {
	t.Parallel()
	b := &ledger{}
	policy := noDelay(retry.WithBudget(b))
	s := setUp(t, policy)
	patient := s.client.WithTimeout(3 * time.Second)
	require.NoError(t, retryredis.Instrument(patient, policy))
	s.proxy.arm(fault{on: "strlen", times: 2, cutAfter: true})
	require.NoError(t, patient.StrLen(t.Context(), "k").Err())
	assert.Equal(t, [3]int{1, 2, 0}, b.counts())
	require.NoError(t, s.client.StrLen(t.Context(), "k").Err())
	assert.Equal(t, [3]int{2, 2, 0}, b.counts())
}
