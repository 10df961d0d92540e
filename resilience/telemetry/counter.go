package telemetry

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// A counter counts events that many goroutines tell of at once. The zero counter is
// ready to use. It is one word until two goroutines collide on it; then it spreads
// over shards, so that they collide no more. Its sum is exact once adding has ended.
type counter struct {
	base   atomic.Int64
	shards atomic.Pointer[[]shard]
}

// shard fills two cache lines, as processors fetch lines in pairs.
type shard struct {
	n atomic.Int64
	_ [120]byte
}

// Add adds n.
func (c *counter) Add(n int64) {
	if c.shards.Load() == nil {
		old := c.base.Load()
		if c.base.CompareAndSwap(old, old+n) {
			return
		}
	}
	c.addToShard(n)
}

// Value returns the sum.
func (c *counter) Value() int64 {
	sum := c.base.Load()
	if shards := c.shards.Load(); shards != nil {
		for i := range *shards {
			sum += (*shards)[i].n.Load()
		}
	}
	return sum
}

func (c *counter) addToShard(n int64) {
	shards := c.shards.Load()
	if shards == nil {
		c.shards.CompareAndSwap(nil, newShards())
		shards = c.shards.Load()
	}
	// Where a goroutine's stack lies is as good as a number of its own. Frames of
	// one stack differ in the low bits and stacks in the high ones, so the whole
	// address is mixed (Fibonacci hashing: Knuth, TAOCP 3, 6.4).
	var here byte
	mixed := uint64(uintptr(unsafe.Pointer(&here))) * 0x9E3779B97F4A7C15
	(*shards)[mixed>>32&uint64(len(*shards)-1)].n.Add(n)
}

// newShards returns at least four shards a processor, and a power of two of them.
func newShards() *[]shard {
	n := 8
	for n < 4*runtime.GOMAXPROCS(0) && n < 256 {
		n *= 2
	}
	shards := make([]shard, n)
	return &shards
}
