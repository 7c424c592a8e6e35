package baseline

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/sample"
)

// Unscented is the scaled unscented transform (Julier & Uhlmann 1997; Julier
// 2002). With r the rank of Sigma = L L' (directions of zero variance get no
// points) and lambda = Alpha^2 (r + Kappa) - r, the sigma points are the mean,
// x_0 = mu, and mu +- sqrt(r+lambda) L e_k, k = 1..r, with the weights
//
//	mean:        lambda/(r+lambda) at x_0,  1/(2(r+lambda)) elsewhere
//	covariance:  lambda/(r+lambda) + 1 - Alpha^2 + Beta at x_0, else the same
//
// If Alpha is 0 the parameters are Alpha 1, Beta 2, Kappa 0, whose weights are
// all non-negative: Alpha 1 puts the points at the scale of the uncertainty
// rather than at the mean, Beta 2 is the choice of Julier (2002) for Gaussian
// inputs. Otherwise all three are taken as they stand.
//
// The covariance is positive semidefinite to rounding if
// Beta + Alpha^2 Kappa/r >= 0. Otherwise, as with the classical Kappa = 3-r
// for r > 3 and Beta 0, it may not be and may even have negative diagonal
// entries; the Accuracy's reason says so when it happens.
//
// The result is approximate with no estimate of its error. It costs 2r+1
// evaluations and 2 r OutputDim numbers of memory beside L.
type Unscented struct {
	Func covprop.Func
	// Alpha > 0 scales the spread of the points, Beta weighs the squared
	// shift of the mean, and Kappa > -r spreads the points further.
	Alpha, Beta, Kappa float64
}

// Propagate implements covprop.Propagator.
func (u Unscented) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	alpha, beta, kappa := u.Alpha, u.Beta, u.Kappa
	if alpha == 0 {
		if beta != 0 || kappa != 0 {
			return covprop.Result{}, errors.New("unscented: Beta and Kappa need an Alpha")
		}
		alpha, beta = 1, 2
	}
	if !(alpha > 0) || math.IsInf(alpha*alpha, 0) || math.IsNaN(beta-beta) || math.IsNaN(kappa-kappa) {
		return covprop.Result{}, fmt.Errorf("unscented: Alpha %v, Beta %v, Kappa %v: Alpha must be positive and all finite", alpha, beta, kappa)
	}
	return sigmaPoints(ctx, u.Func, in, alpha, beta, kappa, "unscented transform")
}

// Cubature is the third-degree spherical-radial cubature rule (Arasaratnam &
// Haykin 2009): 2r points mu +- sqrt(r) L e_k of equal weight, r the rank of
// Sigma. It is the unscented transform with Alpha 1, Beta 0 and Kappa 0, whose
// centre has no weight; its covariance is always positive semidefinite to
// rounding. The result is approximate with no estimate of its error.
type Cubature struct {
	Func covprop.Func
}

// Propagate implements covprop.Propagator.
func (c Cubature) Propagate(ctx context.Context, in covprop.Gaussian) (covprop.Result, error) {
	return sigmaPoints(ctx, c.Func, in, 1, 0, 0, "third-degree cubature rule")
}

// sigmaPoints computes the weighted moments in a form that has no large
// weights of opposite sign to cancel. With s = r + lambda = alpha^2 (r+kappa),
// f_0 = f(mu) and, for the pair of points of direction k,
//
//	o_k = (f_+ - f_-)/2,   g_k = (f_+ + f_-)/2 - f_0,   g = sum_k g_k / r,
//
// the weighted moments are identically
//
//	m = f_0 + d,   d = (r/s) g
//	C = (1/s) sum_k [ o_k o_k' + (g_k - g)(g_k - g)' ] + (beta + alpha^2 kappa/r) d d'.
func sigmaPoints(ctx context.Context, fn covprop.Func, in covprop.Gaussian, alpha, beta, kappa float64, reason string) (covprop.Result, error) {
	outputs, err := prepare(fn, in)
	if err != nil {
		return covprop.Result{}, err
	}
	f, err := sample.NewRoot(ctx, in.Cov)
	if err != nil {
		return covprop.Result{}, err
	}
	mean := make([]float64, fn.OutputDim())
	if err := eval(ctx, fn, mean, in.Mean, atMean); err != nil {
		return covprop.Result{}, err
	}
	cov := newGeneral(len(mean), len(mean))
	reason = f.Note(reason)
	if f.Rank() > 0 {
		r := float64(f.Rank())
		s := alpha * alpha * (r + kappa)
		if !(s > 0) {
			return covprop.Result{}, fmt.Errorf("unscented: Alpha^2 (r + Kappa) must be positive, but Kappa is %v and the rank r of the covariance %d", kappa, f.Rank())
		}
		odd, even, err := pairs(ctx, f, fn, in.Mean, mean, math.Sqrt(s))
		if err != nil {
			return covprop.Result{}, err
		}
		d := centre(even) // g, then d
		blas64.Scal(r/s, blas64.Vector{N: len(d), Inc: 1, Data: d})
		for i := range mean {
			mean[i] += d[i]
		}
		c := beta + alpha*alpha*kappa/r
		blas64.Syrk(blas.Trans, 1/s, odd, 0, upper(cov))
		blas64.Syrk(blas.Trans, 1/s, even, 1, upper(cov))
		blas64.Syr(c, blas64.Vector{N: len(d), Inc: 1, Data: d}, upper(cov))
		mirror(cov)
		if c < 0 {
			if _, err := covprop.NewDense(cov.Rows, cov.Data); err != nil {
				reason += "; its negative weights left a covariance that is not positive semidefinite"
			}
		}
	}
	return covprop.Result{
		Gaussian: covprop.Gaussian{Mean: mean, Cov: covprop.DenseOf(cov)},
		Outputs:  outputs,
		Accuracy: covprop.ApproximatedBy(math.Inf(1), reason),
	}, ctx.Err()
}

// pairs evaluates fn at mu +- h L e_k and returns the (r, m) matrices of o_k
// and g_k.
func pairs(ctx context.Context, f *sample.Root, fn covprop.Func, mu, f0 []float64, h float64) (odd, even blas64.General, err error) {
	odd, even = newGeneral(f.Rank(), len(f0)), newGeneral(f.Rank(), len(f0))
	column, x := make([]float64, f.Dim()), make([]float64, f.Dim())
	for k := range f.Rank() {
		f.ColumnTo(column, k)
		where := func() string { return fmt.Sprintf("sigma points of direction %d", k) }
		plus, minus := row(odd, k), row(even, k)
		for i, c := range column {
			x[i] = mu[i] + h*c
		}
		if err := eval(ctx, fn, plus, x, where); err != nil {
			return odd, even, err
		}
		for i, c := range column {
			x[i] = mu[i] - h*c
		}
		if err := eval(ctx, fn, minus, x, where); err != nil {
			return odd, even, err
		}
		for i := range f0 {
			p, m := plus[i]-f0[i], minus[i]-f0[i]
			odd.Data[k*odd.Stride+i], even.Data[k*even.Stride+i] = (p-m)/2, (p+m)/2
		}
	}
	return odd, even, nil
}

// centre subtracts the mean row of a from every row and returns it.
func centre(a blas64.General) []float64 {
	g := make([]float64, a.Cols)
	for k := range a.Rows {
		for i, x := range row(a, k) {
			g[i] += x / float64(a.Rows)
		}
	}
	for k := range a.Rows {
		r := row(a, k)
		for i := range r {
			r[i] -= g[i]
		}
	}
	return g
}
