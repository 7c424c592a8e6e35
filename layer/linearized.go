package layer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/kernel"
)

// Linearized is a function f without a rule of its own, replaced by its tangent
// at the mean: with J the Jacobian there,
//
//	E y = f(mu),   Cov y = J Cov(x) J',   G = J.
//
// Nothing is known of the error.
type Linearized struct {
	name    string
	forward func(dst []float64, x ...[]float64)
	out     int
	inputs  []int
}

// NewLinearized returns the rule that linearises forward, which is of the form
// of Rule.Forward, at the mean. out is the length of the output, inputs are
// those of the inputs.
func NewLinearized(name string, forward func(dst []float64, x ...[]float64), out int, inputs ...int) (*Linearized, error) {
	if out < 1 || len(inputs) == 0 {
		return nil, errors.New("the tensor is empty")
	}
	for _, n := range inputs {
		if n < 1 {
			return nil, errors.New("the tensor is empty")
		}
	}
	return &Linearized{name: name, forward: forward, out: out, inputs: inputs}, nil
}

// Name implements Rule.
func (l *Linearized) Name() string { return l.name }

// Inputs implements Rule.
func (l *Linearized) Inputs() []int { return l.inputs }

// OutputLen implements Rule.
func (l *Linearized) OutputLen() int { return l.out }

// Exactness implements Rule.
func (l *Linearized) Exactness() covprop.Accuracy {
	return covprop.ApproximatedBy(math.Inf(1), activation.Linearized)
}

// Forward implements Rule.
func (l *Linearized) Forward(dst []float64, x ...[]float64) { l.forward(dst, x...) }

// WorkFloats implements Nonlinear: the Jacobians, and the product of one with a
// covariance. The variances for one input need none of that.
func (l *Linearized) WorkFloats(diagonal bool) int {
	total, most := 0, 0
	for _, n := range l.inputs {
		total += n
		most = max(most, n)
	}
	switch {
	case !diagonal:
		total += most
	case len(l.inputs) == 1:
		total = 0
	}
	return l.out * total
}

// MomentsTo implements Nonlinear.
func (l *Linearized) MomentsTo(ctx context.Context, dst *Response, in *Joint, o Options) (covprop.Accuracy, error) {
	uncertain := false
	for i, n := range l.inputs {
		for k := range n {
			uncertain = uncertain || in.Between(i, i).At(k, k) > 0
		}
	}
	var acc covprop.Accuracy
	if uncertain {
		if o.Strict {
			return acc, fmt.Errorf("%s has no rule, only linearisation at the mean: leave out --strict (Strict) to accept that", l.name)
		}
		acc = l.Exactness()
	}
	l.forward(dst.Mean, in.Mean...)
	for i := range dst.Cov.Rows {
		clear(row(dst.Cov, i))
	}
	clear(dst.Variance)
	if !uncertain && dst.Gain == nil {
		return acc, nil
	}
	jac := l.jacobians(dst)
	if err := l.differentiate(ctx, dst, in, jac, uncertain); err != nil {
		return acc, err
	}
	if dst.Diagonal() {
		l.addShared(dst.Variance, in, jac)
		return acc, nil
	}
	return acc, l.sandwich(ctx, dst, in, jac, o.Threads)
}

// addShared adds to the variances what inputs that are the same tensor have in
// common.
func (l *Linearized) addShared(variance []float64, in *Joint, jac []*denseGain) {
	for i := range l.inputs {
		for j := range i {
			c := in.Between(i, j)
			for p := range variance {
				a, b := row(jac[i].General, p), row(jac[j].General, p)
				for k, v := range c.Diag {
					variance[p] += 2 * a[k] * b[k] * v
				}
			}
		}
	}
}

// jacobians returns room for the Jacobians, (out, n_i), where they are needed.
func (l *Linearized) jacobians(dst *Response) []*denseGain {
	if dst.Diagonal() && dst.Gain == nil && len(l.inputs) == 1 {
		return nil
	}
	work := dst.Work
	jac := make([]*denseGain, len(l.inputs))
	for i, n := range l.inputs {
		jac[i] = &denseGain{blas64.General{Rows: l.out, Cols: n, Stride: n, Data: work[:l.out*n]}}
		clear(jac[i].Data)
		work = work[l.out*n:]
		if dst.Gain != nil {
			dst.Gain[i] = jac[i]
		}
	}
	return jac
}

// differentiate finds df/dx by central differences, one element of the inputs
// at a time, and adds up the variances if only these are asked for. Next to
// uncertain elements, certain ones need no derivative.
func (l *Linearized) differentiate(ctx context.Context, dst *Response, in *Joint, jac []*denseGain, uncertain bool) error {
	at := make([][]float64, len(in.Mean))
	for i, m := range in.Mean {
		at[i] = append([]float64(nil), m...)
	}
	up, down := make([]float64, l.out), make([]float64, l.out)
	for i, x := range at {
		c := in.Between(i, i)
		for k, mu := range x {
			v := c.At(k, k)
			if uncertain && v == 0 {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			h := step(mu, math.Sqrt(v))
			x[k] = mu + h
			l.forward(up, at...)
			width := x[k]
			x[k] = mu - h
			l.forward(down, at...)
			width -= x[k] // 2h but for rounding
			x[k] = mu
			for p := range up {
				d := (up[p] - down[p]) / width
				if math.IsNaN(d) || math.IsInf(d, 0) {
					return fmt.Errorf("%s cannot be linearised: the derivative of output %d with respect to element %d of input %d at %v is %v", l.name, p, k, i, mu, d)
				}
				if jac != nil {
					row(jac[i].General, p)[k] = d
				}
				if dst.Diagonal() {
					dst.Variance[p] += d * d * v
				}
			}
		}
	}
	return nil
}

// step is the step of a central difference: of the size that balances its
// error h^2 with rounding eps/h for a function that varies on the scale of x
// or of 1; but no longer than the standard deviation, which may be small
// because that scale is, as long as x + h leaves half the digits to h.
func step(x, sd float64) float64 {
	const root, half = 6.0554544523933395e-06, 1.4901161193847656e-08 // eps^(1/3), eps^(1/2)
	h := root * math.Max(math.Abs(x), 1)
	if sd > 0 {
		h = math.Min(h, math.Max(sd, half*math.Abs(x)))
	}
	return h
}

// sandwich adds sum_ij J_i Cov(x_i, x_j) J_j' to dst.Cov.
func (l *Linearized) sandwich(ctx context.Context, dst *Response, in *Joint, jac []*denseGain, threads int) error {
	scratch := dst.Work
	for _, n := range l.inputs {
		scratch = scratch[l.out*n:]
	}
	for i := range jac {
		for j := range i + 1 {
			c := in.Between(i, j)
			if c.Zero() {
				continue
			}
			n := l.inputs[j]
			half := blas64.General{Rows: l.out, Cols: n, Stride: n, Data: scratch[:l.out*n]}
			if err := timesBlock(ctx, threads, half, jac[i].General, c); err != nil {
				return err
			}
			if err := kernel.MulTransTo(ctx, threads, dst.Cov, half, jac[j].General, true); err != nil {
				return err
			}
			if i == j {
				continue
			}
			if err := kernel.MulTransTo(ctx, threads, dst.Cov, jac[j].General, half, true); err != nil {
				return err
			}
		}
	}
	kernel.Mirror(dst.Cov)
	return nil
}

// timesBlock writes a c.
func timesBlock(ctx context.Context, threads int, dst, a blas64.General, c Block) error {
	switch {
	case c.Diag != nil:
		for i := range dst.Rows {
			to, x := row(dst, i), row(a, i)
			for k, v := range c.Diag {
				to[k] = x[k] * v
			}
		}
		return nil
	case c.Trans:
		return kernel.MulTransTo(ctx, threads, dst, a, c.Dense, false)
	}
	return kernel.MulTo(ctx, threads, dst, a, c.Dense, false)
}

// A denseGain is a matrix.
type denseGain struct{ blas64.General }

// MulTo implements Gain.
func (g *denseGain) MulTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.MulTo(ctx, threads, dst, g.General, src, add)
}

// MulTransTo implements Gain.
func (g *denseGain) MulTransTo(ctx context.Context, threads int, dst, src blas64.General, add bool) error {
	return kernel.MulTransTo(ctx, threads, dst, src, g.General, add)
}
