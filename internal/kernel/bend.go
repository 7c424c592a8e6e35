package kernel

import (
	"math"
	"sync"

	"github.com/covprop/covprop/internal/special"
)

// BendIntegrals are the integrals
//
//	G = int_0^1 (1-x^2)/(1 + s x^2)^2 exp(-(p x - q/x)^2) dx,  p >= 0, q > 0, 0 <= s <= 1,
//
// of package activation's covariance of two bends, of which N are in use.
//
// Gauss-Legendre quadrature in log x over [Lo, Lo e^Length], where the exponent
// is above -BendCut^2 (what is left out is below exp(-BendCut^2) = 2.4e-14):
// there the integrand is entire, and bendNodes leave an error below BendError
// for Length up to BendLength.
type BendIntegrals struct {
	N          int
	P, Q, S    [HardBatch]float64
	Lo, Length [HardBatch]float64
	G          [HardBatch]float64
}

const (
	bendNodes = 36

	// BendCut is the difference q - p beyond which an integral is 0 within
	// BendError; one closer than that can be added.
	BendCut = 5.6
	// BendLength is the longest interval that bendNodes are good for.
	BendLength = 6
	// BendError bounds the error of G: twice what comparisons over all p, q and
	// s show, most of which is what was left out.
	BendError = 1e-13
)

// Add adds an integral. It returns its index, and ok false if it is beyond the
// quadrature.
func (b *BendIntegrals) Add(p, q, s float64) (index int, ok bool) {
	root := BendCut + math.Sqrt(BendCut*BendCut+4*p*q)
	lo := 2 * q / root // where q/x - p x = BendCut
	length := -math.Log(lo)
	if root < 2*p { // where p x - q/x = BendCut
		length = math.Log(root / (2 * p) / lo)
	}
	if !(length <= BendLength) || s > 1 {
		return 0, false
	}
	i := b.N
	b.P[i], b.Q[i], b.S[i], b.Lo[i], b.Length[i] = p, q, s, lo, length
	b.N++
	return i, true
}

// Compute computes G[:N].
func (b *BendIntegrals) Compute() {
	nodes, weights := bendRule()
	for i := bendVector(b, nodes, weights); i < b.N; i++ {
		b.G[i] = 0
		for k, t := range nodes {
			x := b.Lo[i] * math.Exp(b.Length[i]*t)
			d := 1 + b.S[i]*x*x
			e := b.P[i]*x - b.Q[i]/x
			b.G[i] += weights[k] * math.Exp(-e*e) * ((1 - x*x) * x / (d * d))
		}
		b.G[i] *= b.Length[i]
	}
}

// bendRule returns the nodes and weights for [0, 1].
var bendRule = sync.OnceValues(func() (nodes, weights []float64) {
	x, w := special.GaussLegendre(bendNodes)
	for i := range x {
		nodes = append(nodes, 0.5*(1+x[i]))
		weights = append(weights, 0.5*w[i])
	}
	return nodes, weights
})
