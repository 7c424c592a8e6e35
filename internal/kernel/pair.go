package kernel

import (
	"math"
	"sync"

	"github.com/covprop/covprop/internal/special"
)

// PairIntegrals are the integrals
//
//	G = int_0^1 (t - x^2)/(1 + s x^2)^2 exp(-a/x^2 - b x^2) dx
//
// of the covariance of two bends (see package activation), a >= 0,
// 0 <= b <= PairSteepest, 0 <= s <= PairLongest, t >= 1, at most HardBatch of them.
// The zero value holds none.
//
// The quadrature is Gauss-Legendre in log x, in which the integrand is entire,
// from x = 1 down to where it is negligible. Nodes that do not depend on the
// integral leave one exponential and no division to each. The smaller a is, the
// farther down they must reach, so there are three sets of them.
type PairIntegrals struct {
	N      int // how many there are
	g      [HardBatch]float64
	queues [len(pairRanges)]pairQueue
}

// A pairQueue has the integrals that use one set of nodes, side by side, and
// their numbers.
type pairQueue struct {
	n             int
	place         [HardBatch]uint16
	a, b, s, t, g [HardBatch]float64
}

const (
	// PairSteepest is the largest b.
	PairSteepest = 36
	// PairLongest is the largest s.
	PairLongest = .2
	// PairError bounds the error of G in units of t: of the quadrature, and of
	// some hundred roundings of numbers below t.
	PairError = 5e-15
	// pairLowest is where exponents end: exp(-600) is far below any rounding,
	// and nothing that it is multiplied by makes it a denormal number.
	pairLowest = -600
)

// pairRanges are the panels in -log x of a rule for a >= least, each of so many
// nodes. At the end of the last one the integrand is below exp(-40), or x
// itself is where a may be 0.
var pairRanges = [...]struct {
	least float64
	nodes int
	ends  []float64
}{
	{1, 24, []float64{0, 1.9}},
	{0x1p-10, 60, []float64{0, 5.4}},
	{0, 40, []float64{0, 3, 7, 12, 18, 26, 38}},
}

// A pairNode is a node of a rule.
type pairNode struct {
	inverse, square, weight float64 // 1/x^2, x^2, w x
}

// pairRules are the nodes for pairRanges.
var pairRules = sync.OnceValue(func() (rules [len(pairRanges)][]pairNode) {
	for i, r := range pairRanges {
		nodes, weights := special.GaussLegendre(r.nodes)
		for k, end := range r.ends[1:] {
			half := 0.5 * (end - r.ends[k])
			for l, z := range nodes {
				v := r.ends[k] + half*(1+z)
				rules[i] = append(rules[i], pairNode{math.Exp(2 * v), math.Exp(-2 * v), half * weights[l] * math.Exp(-v)})
			}
		}
	}
	return rules
})

// Add adds an integral and returns its number.
func (p *PairIntegrals) Add(a, b, s, t float64) int {
	r := 0
	for !(a >= pairRanges[r].least) && r < len(pairRanges)-1 {
		r++
	}
	q := &p.queues[r]
	q.place[q.n] = uint16(p.N)
	q.a[q.n], q.b[q.n], q.s[q.n], q.t[q.n] = a, b, s, t
	q.n++
	p.N++
	return p.N - 1
}

// Compute returns the integrals, in the order in which they were added, and
// removes them; they are valid until the next Compute.
func (p *PairIntegrals) Compute() []float64 {
	rules := pairRules()
	for r := range p.queues {
		q := &p.queues[r]
		if q.n == 0 {
			continue
		}
		for i := pairVector(q, rules[r]); i < q.n; i++ {
			q.g[i] = pairIntegral(rules[r], q.a[i], q.b[i], q.s[i], q.t[i])
		}
		for i, k := range q.place[:q.n] {
			p.g[k] = q.g[i]
		}
		q.n = 0
	}
	n := p.N
	p.N = 0
	return p.g[:n]
}

// pairIntegral returns G.
func pairIntegral(rule []pairNode, a, b, s, t float64) (sum float64) {
	for i := range rule {
		n := &rule[i]
		d := 1 + s*n.square
		sum += n.weight * (t - n.square) / (d * d) * math.Exp(max(pairLowest, -a*n.inverse-b*n.square))
	}
	return sum
}
