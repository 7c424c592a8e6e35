package baseline

import (
	"context"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/sample"
)

const eps = 0x1p-52

// Linear is first-order linearisation, the delta method:
//
//	E f(X) ~ f(mu),   Cov f(X) ~ J Sigma J',   J = df/dx at mu.
//
// A covprop.Differentiable gives its exact Jacobian, any other Func central
// differences, and the Accuracy's reason says which. The result is always
// approximate, with no estimate of its error: whether f is affine, and so the
// result exact, cannot be seen from one point. Memory: OutputDim x InputDim
// numbers beside the factor of Sigma.
type Linear struct {
	Func covprop.Func
}

// Propagate implements covprop.Propagator.
func (l Linear) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	outputs, err := prepare(l.Func, in)
	if err != nil {
		return covprop.Result{}, err
	}
	m := l.Func.OutputDim()
	mean := make([]float64, m)
	if err := eval(ctx, l.Func, mean, in.Mean, atMean); err != nil {
		return covprop.Result{}, err
	}
	jac, reason, err := jacobian(ctx, l.Func, in)
	if err != nil {
		return covprop.Result{}, err
	}
	f, err := sample.NewRoot(ctx, in.Cov)
	if err != nil {
		return covprop.Result{}, err
	}
	return covprop.Result{
		Gaussian: covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(sandwich(f, jac))},
		Outputs:  outputs,
		Accuracy: covprop.ApproximatedBy(math.Inf(1), f.Note(reason)),
	}, ctx.Err()
}

func atMean() string { return "at the mean" }

// sandwich returns J Sigma J' as (J L)(J L)', which is positive semidefinite
// to rounding whatever cancels. jac is (m, n).
func sandwich(root *sample.Root, jac blas64.General) blas64.General {
	cov := newGeneral(jac.Rows, jac.Rows)
	if root.Rank() == 0 {
		return cov
	}
	jl := newGeneral(jac.Rows, root.Rank())
	root.MulLeftTo(jl, jac)
	blas64.Syrk(blas.NoTrans, 1, jl, 0, upper(cov))
	mirror(cov)
	return cov
}

// jacobian returns df/dx at the mean of in, (m, n), and how it was made.
func jacobian(ctx context.Context, f covprop.Func, in covprop.Gaussian) (blas64.General, string, error) {
	d, ok := f.(covprop.Differentiable)
	if !ok {
		jac, err := centralDifferences(ctx, f, in)
		return jac, "first-order linearisation with central differences", err
	}
	jac := mat.NewDense(f.OutputDim(), f.InputDim(), nil)
	if err := d.JacobianTo(jac, in.Mean); err != nil {
		return blas64.General{}, "", fmt.Errorf("at the mean, Jacobian: %w", err)
	}
	raw := jac.RawMatrix()
	for i := range raw.Rows {
		for j, x := range row(raw, i) {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return blas64.General{}, "", fmt.Errorf("at the mean, Jacobian: entry (%d,%d) is %v", i, j, x)
			}
		}
	}
	return raw, "first-order linearisation", nil
}

// centralDifferences returns the (m, n) matrix of
//
//	(f(x + h e_j) - f(x - h e_j)) / 2h,   h = cbrt(eps) max(|x_j|, sigma_j),
//
// which balances the truncation, of order h^2, and the rounding, of order
// eps/h. Variables of zero variance do not enter J Sigma J'; their columns are
// zero and cost nothing.
func centralDifferences(ctx context.Context, f covprop.Func, in covprop.Gaussian) (blas64.General, error) {
	jac := newGeneral(f.OutputDim(), f.InputDim())
	x := append([]float64(nil), in.Mean...)
	plus, minus := make([]float64, jac.Rows), make([]float64, jac.Rows)
	for j, sigma := range in.Std() {
		if sigma == 0 {
			continue
		}
		where := func() string { return fmt.Sprintf("central difference of variable %d", j) }
		h := math.Cbrt(eps) * math.Max(math.Abs(in.Mean[j]), sigma)
		hi, lo := in.Mean[j]+h, in.Mean[j]-h
		x[j] = hi
		if err := eval(ctx, f, plus, x, where); err != nil {
			return jac, err
		}
		x[j] = lo
		if err := eval(ctx, f, minus, x, where); err != nil {
			return jac, err
		}
		x[j] = in.Mean[j]
		for i := range jac.Rows {
			jac.Data[i*jac.Stride+j] = (plus[i] - minus[i]) / (hi - lo)
		}
	}
	return jac, nil
}
