package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nobody comes within an hour where the next shopper is due after more than that, however seldom
// they come.
func TestSeldom(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 1e-4, 1e-10, 1e-300, 5e-324} {
		synctest.Test(t, func(t *testing.T) {
			o, err := parse([]string{"-rate", "0"}, nil)
			require.NoError(t, err)
			s := newShoppers("http://127.0.0.1:0", o)
			s.setRate(rate)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			due := time.Now()
			assert.False(t, s.waitFor(ctx, &due), "%v", rate)
		})
	}
}
