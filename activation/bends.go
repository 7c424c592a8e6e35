package activation

import (
	"math"

	"github.com/covprop/covprop/internal/kernel"
)

// BendsTo makes b the units with the activations acts, one for all or one each,
// the input means mu and standard deviations sigma, and the output standard
// deviations sd. Those that have not one bend, or are constant, are none in b.
func BendsTo(b *kernel.Bends, acts []Activation, mu, sigma, sd []float64) {
	b.Reset(len(mu))
	var bend pieces
	for i := range mu {
		if i == 0 || len(acts) > 1 && !same(acts[i], acts[i-1]) {
			bend = piecesOf(acts[i])
		}
		setBend(b, i, &bend, mu[i], sigma[i], sd[i])
	}
	b.Finish()
}

// setBend sets unit i, about the mean of whose input p is linear but for a tail
// beyond the knot.
func setBend(b *kernel.Bends, i int, p *pieces, mu, sigma, sd float64) {
	delta := mu - p.at[0]
	alpha := -delta / sigma
	if !p.linear || p.n != 1 || p.jump[0][0] != 0 || !(sigma > 0) || !(sd > 0) || !finite(sigma+sd+alpha) {
		return
	}
	piece := 0
	if !math.Signbit(delta) {
		piece = 1
	}
	b.Set(i, alpha, p.slope[piece]*(sigma/sd), p.jump[0][1]*(sigma/sd))
}
