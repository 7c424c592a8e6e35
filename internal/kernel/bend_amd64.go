//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./bend -out ../kernel/bend_amd64.s -stubs ../kernel/bend_stubs_amd64.go -pkg kernel

// bendVector computes integrals by vectors and returns how many: all of them,
// and what fills the last vector.
func bendVector(b *BendIntegrals, nodes, weights []float64) int {
	switch cpu.Current() {
	case cpu.AVX512:
		b.pad(16)
		bendAVX512(&b.G[0], &b.P[0], &b.Q[0], &b.S[0], &b.Lo[0], &b.Length[0], (b.N+15)/16, &nodes[0], &weights[0], len(nodes))
	case cpu.AVX2:
		b.pad(4)
		bendAVX2(&b.G[0], &b.P[0], &b.Q[0], &b.S[0], &b.Lo[0], &b.Length[0], (b.N+3)/4, &nodes[0], &weights[0], len(nodes))
	default:
		return 0
	}
	return b.N
}

// pad fills up the last vector of the given length with ordinary numbers.
func (b *BendIntegrals) pad(lanes int) {
	for i := b.N; i%lanes != 0; i++ {
		b.P[i], b.Q[i], b.S[i], b.Lo[i], b.Length[i] = 1, 1, 0, 1, 0
	}
}
