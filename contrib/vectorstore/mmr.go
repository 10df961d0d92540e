package vectorstore

import "math"

// diverse returns which k of the candidates to take, by maximal marginal relevance: Jaime
// Carbonell and Jade Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering
// Documents and Producing Summaries", SIGIR 1998. Each step takes the candidate of the greatest
//
//	lambda * similarity(query, candidate) - (1-lambda) * max similarity(candidate, taken)
//
// where the similarity is the cosine, and the second term is 0 as long as none is taken. Of
// equals the first is taken. There are no more indices than candidates.
func diverse(query []float32, candidates [][]float32, k int, lambda float64) []int {
	k = min(k, len(candidates))
	relevance := make([]float64, len(candidates))
	redundancy := make([]float64, len(candidates)) // the greatest similarity with one that is taken
	taken := make([]bool, len(candidates))
	for i, c := range candidates {
		relevance[i] = cosine(query, c)
		redundancy[i] = math.Inf(-1)
	}
	indices := make([]int, 0, k)
	for len(indices) < k {
		best, bestScore := -1, 0.0
		for i := range candidates {
			score := lambda * relevance[i]
			if len(indices) > 0 {
				score -= (1 - lambda) * redundancy[i]
			}
			if !taken[i] && (best < 0 || score > bestScore) {
				best, bestScore = i, score
			}
		}
		taken[best] = true
		indices = append(indices, best)
		for i, c := range candidates {
			if !taken[i] {
				redundancy[i] = max(redundancy[i], cosine(candidates[best], c))
			}
		}
	}
	return indices
}

// cosine returns the cosine of the angle between a and b: 0 if one of them is zero.
func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range min(len(a), len(b)) {
		x, y := float64(a[i]), float64(b[i])
		ab += x * y
		aa += x * x
		bb += y * y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
