package vectorstore

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiverse(t *testing.T) {
	t.Parallel()
	query := []float32{1, 0}
	near, nearer, aside, zero := []float32{0.9, 0.1}, []float32{1, 0.01}, []float32{0.6, -0.8}, []float32{0, 0}
	for name, test := range map[string]struct {
		candidates [][]float32
		k          int
		lambda     float64
		want       []int
	}{
		"none":                       {nil, 3, 0.5, []int{}},
		"fewer than k":               {[][]float32{near}, 3, 0.5, []int{0}},
		"similarity alone":           {[][]float32{near, nearer, aside}, 3, 1, []int{1, 0, 2}},
		"some diversity":             {[][]float32{near, nearer, aside}, 2, 0.9, []int{1, 0}},
		"much diversity":             {[][]float32{near, nearer, aside}, 2, 0.2, []int{1, 2}},
		"diversity alone":            {[][]float32{near, nearer, aside}, 2, 0, []int{0, 2}},
		"of equals the first":        {[][]float32{near, near, near}, 3, 0.5, []int{0, 1, 2}},
		"a zero vector is unlike":    {[][]float32{near, zero, nearer}, 2, 0.1, []int{2, 1}},
		"the opposite is as unlike ": {[][]float32{nearer, {-1, 0}}, 2, 0.5, []int{0, 1}},
	} {
		assert.Equal(t, test.want, diverse(query, test.candidates, test.k, test.lambda), name)
	}
}

// By hand: with lambda 1/2, after [1 0] the candidate at 60 degrees scores 0.5*0.5 - 0.5*0.5 = 0,
// that at 90 degrees 0 - 0 = 0, and that at -45 degrees 0.5*0.7071 - 0.5*0.7071 = 0: the first.
func TestDiverseScores(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 0.5, cosine([]float32{1, 0}, []float32{0.5, 0.8660254}), 1e-6)
	assert.InDelta(t, -1, cosine([]float32{1, 2}, []float32{-2, -4}), 1e-12)
	assert.Zero(t, cosine([]float32{0, 0}, []float32{1, 1}))
	assert.InDelta(t, 1, cosine([]float32{1e-30, 0}, []float32{1e30, 0}), 1e-12)
}
