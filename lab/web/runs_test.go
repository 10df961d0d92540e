package web

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/observable-go/toolkit/lab/scenario"
)

// lasting is a comparison that ends when it is let, or with its context.
func lasting(let <-chan struct{}) comparison {
	return func(_ *scenario.Scenario, ctx context.Context, progress func(float64)) (*scenario.Report, error) {
		time.Sleep(time.Second) // of the bubble, whose time passes at once
		progress(0.25)
		select {
		case <-let:
			return &scenario.Report{Name: "done"}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func look(t *testing.T, a *runs, id string) state {
	t.Helper()
	s, ok := a.look(id)
	require.True(t, ok)
	return s
}

func TestProgressAndReport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		a := newRuns(lasting(let))
		id, err := a.start(nil)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, state{}, look(t, a, id), "nothing is known yet")
		time.Sleep(time.Second)
		synctest.Wait()
		s := look(t, a, id)
		assert.Equal(t, 0.25, s.Done)
		require.NotNil(t, s.Left)
		assert.InDelta(t, 3, *s.Left, 0.01)
		close(let)
		synctest.Wait()
		s = look(t, a, id)
		assert.Equal(t, 1.0, s.Done)
		assert.Contains(t, string(s.Report), `"name":"done"`)
		assert.Nil(t, s.Left)
		a.close()
	})
}

func TestErrorOfARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newRuns(func(*scenario.Scenario, context.Context, func(float64)) (*scenario.Report, error) {
			return nil, errors.New("it broke")
		})
		id, err := a.start(nil)
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "it broke", look(t, a, id).Error)
		a.close()
	})
}

func TestTwoRunAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		a := newRuns(lasting(let))
		ids := make([]string, maxRuns)
		for i := range ids {
			var err error
			ids[i], err = a.start(nil)
			require.NoError(t, err)
		}
		_, err := a.start(nil)
		require.ErrorIs(t, err, errTooMany)
		synctest.Wait()
		waiting := func() (n int) {
			for _, id := range ids {
				if s, ok := a.look(id); ok && s.Waiting {
					n++
				}
			}
			return n
		}
		assert.Equal(t, maxRuns-maxRunning, waiting())
		for _, id := range ids {
			if !look(t, a, id).Waiting {
				assert.True(t, a.drop(id))
				break
			}
		}
		time.Sleep(2 * time.Second)
		assert.Equal(t, maxRuns-maxRunning-1, waiting(), "the next one takes the place")
		_, err = a.start(nil)
		require.NoError(t, err)
		a.close()
		assert.Empty(t, a.turn)
		_, err = a.start(nil)
		require.ErrorIs(t, err, errClosed)
	})
}

func TestRunsThatNobodyAsksForEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newRuns(lasting(nil))
		left, err := a.start(nil)
		require.NoError(t, err)
		asked, err := a.start(nil)
		require.NoError(t, err)
		time.Sleep(patience - time.Second)
		look(t, a, asked)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		_, ok := a.look(left)
		assert.False(t, ok)
		assert.Len(t, a.turn, 1, "it runs no more")
		look(t, a, asked)
		assert.True(t, a.drop(asked))
		assert.False(t, a.drop(asked))
		a.close()
	})
}
