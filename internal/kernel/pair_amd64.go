//go:build amd64 && !noasm

package kernel

import "github.com/covprop/covprop/internal/cpu"

//go:generate go -C ../_gen run ./pair -out ../kernel/pair_amd64.s -stubs ../kernel/pair_stubs_amd64.go -pkg kernel

// pairVector computes the integrals of q by vectors, with what is in the rest
// of the last one, and returns how many: all or none.
func pairVector(q *pairQueue, rule []pairNode) int {
	switch cpu.Current() {
	case cpu.AVX512:
		pairAVX512(&q.g[0], &q.a[0], &q.b[0], &q.s[0], &q.t[0], (q.n+7)/8, &rule[0].inverse, len(rule)/pairUnroll)
	case cpu.AVX2:
		pairAVX2(&q.g[0], &q.a[0], &q.b[0], &q.s[0], &q.t[0], (q.n+3)/4, &rule[0].inverse, len(rule)/pairUnroll)
	default:
		return 0
	}
	return q.n
}

// pairUnroll is the number of nodes that the assembly takes at once.
const pairUnroll = 4
