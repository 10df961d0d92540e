package inspect

import (
	"fmt"
	"strconv"
	"strings"
)

// A cursor says what an answer has shown: the history up to a sample and the troubled calls
// up to an id, of one inspector. The zero cursor has shown nothing.
type cursor struct {
	inspector int64 // when it began, in nanoseconds
	sample    int
	call      uint64
}

// String returns the cursor as the page sends it back.
func (c cursor) String() string { return fmt.Sprintf("%x-%d-%d", c.inspector, c.sample, c.call) }

// parseCursor returns the zero cursor for what is none: the answer is a whole one then.
func parseCursor(text string) cursor {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return cursor{}
	}
	inspector, err1 := strconv.ParseInt(parts[0], 16, 64)
	sample, err2 := strconv.Atoi(parts[1])
	call, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return cursor{}
	}
	return cursor{inspector, sample, call}
}

// continues reports whether what follows c up to now is still there.
func (c cursor) continues(now cursor) bool {
	return c.inspector == now.inspector && c.sample <= now.sample && now.sample-c.sample <= samples
}
