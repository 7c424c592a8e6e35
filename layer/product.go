package layer

import (
	"context"
	"errors"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/kernel"
)

// Product is the elementwise product y = a o b of two jointly Gaussian
// tensors, which may be the same one. Its first two moments are exact
// (Isserlis 1918; Bohrnstedt & Goldberger 1969): with the covariances
// aa_ij = Cov(a_i, a_j), ab_ij = Cov(a_i, b_j), bb_ij = Cov(b_i, b_j),
//
//	E y_i = E a_i E b_i + ab_ii,    E dy/da = diag(E b),    E dy/db = diag(E a),
//	Cov(y_i, y_j) = E b_i E b_j aa_ij + E a_i E a_j bb_ij + E b_i E a_j ab_ij + E a_i E b_j ab_ji
//	              + aa_ij bb_ij + ab_ij ab_ji.
type Product struct {
	n      int
	inputs [2]int
}

// NewProduct returns the elementwise product of two tensors of length n.
func NewProduct(n int) (*Product, error) {
	if n < 1 {
		return nil, errors.New("the tensor is empty")
	}
	return &Product{n: n, inputs: [2]int{n, n}}, nil
}

// Name implements Rule.
func (p *Product) Name() string { return "product" }

// Inputs implements Rule.
func (p *Product) Inputs() []int { return p.inputs[:] }

// OutputLen implements Rule.
func (p *Product) OutputLen() int { return p.n }

// Exactness implements Rule.
func (p *Product) Exactness() covprop.Accuracy { return covprop.Accuracy{} }

// Forward implements Rule.
func (p *Product) Forward(dst []float64, x ...[]float64) {
	for i, a := range x[0] {
		dst[i] = a * x[1][i]
	}
}

// WorkFloats implements Nonlinear: the gains are two diagonals.
func (p *Product) WorkFloats(diagonal bool) int {
	if diagonal {
		return 0
	}
	return 2 * p.n
}

// productTile is the number of rows and columns computed at a time, so that
// blocks that are stored transposed are read from the cache.
const productTile = 64

// MomentsTo implements Nonlinear.
func (p *Product) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	a, b := in.Mean[0], in.Mean[1]
	aa, ab, bb := in.Between(0, 0), in.Between(0, 1), in.Between(1, 1)
	amplified := 0.
	for i := range p.n {
		dst.Mean[i] = a[i]*b[i] + ab.At(i, i)
		v, scale := productVariance(a[i], b[i], aa.At(i, i), ab.At(i, i), bb.At(i, i))
		amplified = max(amplified, amplification(scale, v))
		if dst.Diagonal() {
			dst.Variance[i] = v
		} else {
			dst.Cov.Data[i*dst.Cov.Stride+i] = v
		}
	}
	if dst.Gain != nil {
		gains := dst.Work[:2*p.n]
		copy(gains, b)
		copy(gains[p.n:], a)
		dst.Gain[0], dst.Gain[1] = DiagonalGain(gains[:p.n]), DiagonalGain(gains[p.n:])
	}
	if dst.Diagonal() {
		return rounded(amplified), ctx.Err()
	}
	tiles := (p.n + productTile - 1) / productTile
	err := kernel.Parallel(ctx, o.Threads, tiles, func(t int) error {
		i0, end := t*productTile, min(p.n, (t+1)*productTile)
		for j0 := 0; j0 < end; j0 += productTile {
			if err := ctx.Err(); err != nil {
				return err
			}
			for i := i0; i < end; i++ {
				y := row(dst.Cov, i)
				for j := j0; j < min(i, j0+productTile); j++ {
					aij, bij, x, z := aa.At(i, j), bb.At(i, j), ab.At(i, j), ab.At(j, i)
					y[j] = b[i]*b[j]*aij + a[i]*a[j]*bij + b[i]*a[j]*x + a[i]*b[j]*z + aij*bij + x*z
				}
			}
		}
		return nil
	})
	if err != nil {
		return covprop.Accuracy{}, err
	}
	kernel.Mirror(dst.Cov)
	return rounded(amplified), nil
}

// productVariance returns the variance of a product of two variables with the
// means a and b, the variances aa and bb and the covariance ab,
//
//	b^2 aa + a^2 bb + 2 a b ab + aa bb + ab^2,
//
// as a sum of terms that are not negative: where a b ab is, the first three are
// (|b| sd_a - |a| sd_b)^2 + 2 |a b| (sd_a sd_b - |ab|). scale is what the
// variance would be if nothing cancelled.
func productVariance(a, b, aa, ab, bb float64) (v, scale float64) {
	sa, sb := math.Sqrt(aa), math.Sqrt(bb)
	linear := b*b*aa + a*a*bb + 2*a*b*ab
	square := aa*bb + ab*ab
	scale = b*b*aa + a*a*bb + 2*math.Abs(a*b*ab) + square
	if a*b*ab < 0 {
		d := math.Abs(b)*sa - math.Abs(a)*sb
		// Beyond rounding the difference is not negative for a covariance.
		linear = d*d + 2*math.Abs(a*b)*max(0, sa*sb-math.Abs(ab))
	}
	return linear + square, scale
}

// amplification is by how much rounding grows, relative to the variance v,
// when terms that sum to scale in absolute value cancel to it.
func amplification(scale, v float64) float64 {
	if scale == 0 {
		return 0
	}
	return scale / v
}

// rounded is the accuracy of moments that are exact but for rounding, of which
// terms that cancel leave the given multiple.
func rounded(amplified float64) covprop.Accuracy {
	if err := amplified * 0x1p-50; !(err <= DefaultTol) {
		return covprop.ApproximatedBy(err, "the terms of a variance cancel: rounding is left")
	}
	return covprop.Accuracy{}
}
