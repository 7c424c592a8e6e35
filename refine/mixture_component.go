package refine

import (
	"math"

	"github.com/covprop/covprop"
)

// A component is a part of the input, N(pos, diag(std^2)) in the coordinates u
// of the subspace, and what became of it.
type component struct {
	pos, std []float64 // (q)
	weight   float64
	res      covprop.Result
	// errs predicts, for every direction, how much a split would change the
	// component's own moments.
	errs []change
}

// A change of moments: of means relative to the standard deviations, of
// variances relative to them; the largest of all outputs.
type change struct{ mean, variance float64 }

func (c change) largest() float64 { return max(c.mean, c.variance) }

func (c change) scaled(mean, variance float64) change {
	return change{c.mean * mean, c.variance * variance}
}

// split returns the parts of c along direction j.
func (c *component) split(j int, s Split) []*component {
	means, weights := s.rule()
	parts := make([]*component, len(means))
	for k := range parts {
		p := &component{
			pos: append([]float64(nil), c.pos...), std: append([]float64(nil), c.std...),
			weight: c.weight * weights[k], errs: make([]change, len(c.errs)),
		}
		p.pos[j] += c.std[j] * means[k]
		p.std[j] *= s.Width
		parts[k] = p
	}
	return parts
}

// recombine returns, for output i, the mean of the parts minus that of c, and
// their variance.
func (c *component) recombine(parts []*component, i int) (dm, v float64) {
	for _, p := range parts {
		dm += p.weight / c.weight * (p.res.Mean[i] - c.res.Mean[i])
	}
	for _, p := range parts {
		d := p.res.Mean[i] - c.res.Mean[i] - dm
		v += p.weight / c.weight * (p.res.Cov.At(i, i) + d*d)
	}
	return dm, v
}

// measure returns the change from c to its parts, relative to the larger of
// the two variances.
func (c *component) measure(parts []*component) change {
	return difference(c, []*component{c}, parts)
}

// difference returns the change from one division of c to another, relative to
// the larger of the two variances.
func difference(c *component, from, to []*component) (d change) {
	for i := range c.res.Mean {
		m0, v0 := c.recombine(from, i)
		m1, v1 := c.recombine(to, i)
		if scale := max(v0, v1); scale > 0 {
			d.mean = max(d.mean, math.Abs(m1-m0)/math.Sqrt(scale))
			d.variance = max(d.variance, math.Abs(v1-v0)/scale)
		}
	}
	return d
}
