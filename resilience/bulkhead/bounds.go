package bulkhead

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/observable-go/toolkit/internal/clock"
)

// ownAlgorithm is an algorithm of this package.
type ownAlgorithm interface {
	// validate reports whether the limit is one that the algorithm allows.
	validate(limit int) error
	// take makes the algorithm that of a bulkhead, which has that clock.
	take(c clock.Clock) error
	// giveBack undoes take, if there will be no bulkhead.
	giveBack()
}

// Default bounds of an adaptive limit.
const (
	defaultMinLimit = 1
	defaultMaxLimit = 1000
)

// bounds are those of an adaptive limit. A 0 means the default.
type bounds struct{ least, most int }

func (b bounds) orDefault() bounds {
	if b.least == 0 {
		b.least = defaultMinLimit
	}
	if b.most == 0 {
		b.most = defaultMaxLimit
	}
	return b
}

// clamp returns x within the bounds.
func (b bounds) clamp(x float64) float64 {
	b = b.orDefault()
	return max(float64(b.least), min(float64(b.most), x))
}

func (b bounds) validate(limit int) error {
	b = b.orDefault()
	switch {
	case b.least < 1 || b.least > MaxLimit:
		return fmt.Errorf("min_limit: %d is not allowed: want 1 to %d", b.least, MaxLimit)
	case b.most < b.least || b.most > MaxLimit:
		return fmt.Errorf("max_limit: %d is not allowed: want %d, the min limit, to %d", b.most, b.least, MaxLimit)
	case limit < b.least || limit > b.most:
		return fmt.Errorf("limit: %d is not allowed: want %d to %d, the bounds of the adaptive limit", limit, b.least, b.most)
	}
	return nil
}

var (
	errNilAlgorithm = errors.New("adaptive_limit: a nil pointer is not allowed: want one to an algorithm")
	errTaken        = errors.New("adaptive_limit: an algorithm of another bulkhead is not allowed: want one of its own")
)

// owner keeps an algorithm from serving two bulkheads, whose callees differ.
type owner struct {
	taken atomic.Bool
	clock clock.Clock // that of the bulkhead
}

func (o *owner) take(c clock.Clock) error {
	if o.taken.Swap(true) {
		return errTaken
	}
	o.clock = c
	return nil
}

func (o *owner) giveBack() { o.taken.Store(false) }
