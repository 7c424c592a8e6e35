package layer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/special"
)

// Max is the maximum of pairs of elements, one round of a tournament. With b
// the element of the larger mean, s the other one, d = x_s - x_b, r = relu(d)
// and g = E r' = Phi(E d/theta),
//
//	y = max(x_s, x_b) = x_b + r,
//	Cov(y_k, y_l) = Cov(b_k, b_l) + g_k Cov(d_k, b_l) + g_l Cov(b_k, d_l) + Cov(r_k, r_l),
//
// which for one pair are the moments of Clark (1961, DOI
// 10.1287/opre.9.2.145). r is in its tail where one element clearly wins, so
// nothing cancels. The covariances of r are those of the elementwise rule.
type Max struct {
	pairs  [][2]int
	inputs [1]int
	relu   *Elementwise
}

// NewMax returns the rule y_k = max(x[pairs[k][0]], x[pairs[k][1]]) for x of
// length in. The two may be the same element, which is then copied. The slice
// is kept, not copied.
func NewMax(pairs [][2]int, in int) (*Max, error) {
	if len(pairs) == 0 {
		return nil, errors.New("a maximum of no pairs is empty")
	}
	for _, p := range pairs {
		for _, i := range p {
			if i < 0 || i >= in {
				return nil, fmt.Errorf("element %d does not exist in a tensor of %d elements", i, in)
			}
		}
	}
	relu, err := NewElementwise([]activation.Activation{activation.ReLU()}, len(pairs))
	return &Max{pairs: pairs, inputs: [1]int{in}, relu: relu}, err
}

// Name implements Rule.
func (m *Max) Name() string { return "max" }

// Inputs implements Rule.
func (m *Max) Inputs() []int { return m.inputs[:] }

// OutputLen implements Rule.
func (m *Max) OutputLen() int { return len(m.pairs) }

// Exactness implements Rule.
func (m *Max) Exactness() covprop.Accuracy { return m.relu.Exactness() }

// Forward implements Rule.
func (m *Max) Forward(dst []float64, x ...[]float64) {
	for k, p := range m.pairs {
		dst[k] = max(x[0][p[0]], x[0][p[1]])
	}
}

// WorkFloats implements Nonlinear: all but the output covariance is linear in
// the number of pairs.
func (m *Max) WorkFloats(bool) int { return 0 }

// MomentsTo implements Nonlinear.
func (m *Max) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	mu, c := in.Mean[0], in.Between(0, 0)
	r := differenceRule{differences: m.order(mu), rule: m.relu, sign: 1}
	var relu Moments
	acc, psd, err := r.momentsTo(ctx, dst, &relu, in, o)
	if err != nil {
		return acc, err
	}
	g := relu.Gain
	for k, b := range r.b {
		dst.Mean[k] += mu[b]
	}
	variance := func(k int) float64 { return dst.Cov.Data[k*dst.Cov.Stride+k] }
	if dst.Diagonal() {
		for k, b := range r.b {
			dst.Variance[k] += c.At(b, b) + 2*g[k]*(c.At(r.a[k], b)-c.At(b, b))
		}
		variance = func(k int) float64 { return dst.Variance[k] }
	} else {
		if err := m.addBase(ctx, dst, &r, g, c, o); err != nil {
			return acc, err
		}
	}
	if dst.Gain != nil {
		other := make([]float64, len(g))
		for k := range g {
			other[k] = 1 - g[k]
		}
		dst.Gain[0] = &pairGain{differences: r.differences, wa: g, wb: other}
	}
	// From units of the standard deviations of r to those of y.
	ratio := 0.
	for k, v := range relu.Variance {
		if v > 0 {
			ratio = math.Max(ratio, v/variance(k))
		}
	}
	if acc.Bound *= ratio; acc.Bound == 0 && acc.Status == covprop.Certified {
		acc = covprop.Accuracy{}
	}
	for k := range r.a {
		if e := r.blur(k, mu, c); e > differenceBlur*math.Sqrt(variance(k)) {
			acc = acc.And(covprop.CertifiedBy(e/math.Sqrt(variance(k)), "rounding of a difference"))
		}
	}
	return acc.And(psd), nil
}

// differenceBlur is the error of a mean, in standard deviations, from which the
// rounding of the variance of a difference is part of the accuracy.
const differenceBlur = 1e-14

// blur bounds the error of E max(x_a, x_b) for pair k by the rounding of
// v = Var(x_a - x_b), which is at most h = 4 eps (Var x_a + Var x_b). Since
// dE/dv = phi(d/sqrt v) / (2 sqrt v), d = E(x_b - x_a), that is at most
//
//	phi(d/sqrt(v+h)) 2 h / (sqrt(v+h) + sqrt(max(v-h, 0))).
func (d differences) blur(k int, mu []float64, c Block) float64 {
	a, b := d.a[k], d.b[k]
	if a == b {
		return 0
	}
	h := 4 * 0x1p-52 * (c.At(a, a) + c.At(b, b))
	v, _ := differenceVariance(c, a, b)
	if v == 0 { // one and the same
		return 0
	}
	high, low := math.Sqrt(v+h), math.Sqrt(max(v-h, 0))
	return special.Density((mu[b]-mu[a])/high) * 2 * h / (high + low)
}

// order returns x_s - x_b for every pair.
func (m *Max) order(mu []float64) differences {
	d := differences{make([]int, len(m.pairs)), make([]int, len(m.pairs))}
	for k, p := range m.pairs {
		if d.a[k], d.b[k] = p[0], p[1]; mu[p[0]] > mu[p[1]] {
			d.a[k], d.b[k] = p[1], p[0]
		}
	}
	return d
}

// addBase adds Cov(b_k, b_l) + g_k Cov(d_k, b_l) + g_l Cov(b_k, d_l) to dst.Cov.
func (m *Max) addBase(ctx context.Context, dst *Response, r *differenceRule, g []float64, c Block, o Options) error {
	err := kernel.Parallel(ctx, o.Threads, (len(g)+differenceTile-1)/differenceTile, func(t int) error {
		rows := newBlockRows(c, m.inputs[0])
		for k := t * differenceTile; k < min(len(g), (t+1)*differenceTile); k++ {
			small, big := rows.pair(r.a[k], r.b[k])
			to := row(dst.Cov, k)[:k+1]
			for l := range to {
				s, b := r.a[l], r.b[l]
				to[l] += big[b] + g[k]*(small[b]-big[b]) + g[l]*(big[s]-big[b])
			}
		}
		return nil
	})
	if err == nil {
		kernel.Mirror(dst.Cov)
	}
	return err
}
