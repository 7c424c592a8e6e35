package bench

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// deep is a hidden layer of a random network in which correlations are stronger
// than in the first, which is harder for the series.
const deep = 7

// relu adds the covariances of ReLUs beside the affine step before them, in the
// first hidden layer of a random network and in a deep one.
func (s *suite) relu(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(4, 4))
	n := s.size(reference, 8)
	in, err := randomInput(ctx, rng, n)
	if err != nil {
		return err
	}
	widths := make([]int, deep+1)
	for i := range widths {
		widths[i] = n
	}
	maps := randomDense(rng, widths...)
	affine, err := s.affine(maps[0], in)
	if err != nil {
		return err
	}
	for _, l := range []struct {
		name   string
		layers int
	}{{"relu_n1024", 1}, {fmt.Sprintf("relu_layer%d_n1024", deep), deep}} {
		net, err := network(maps[:l.layers])
		if err != nil {
			return err
		}
		x, err := net.Propagate(ctx, in)
		if err != nil {
			return err
		}
		if err := s.series(ctx, l.name, affine, x.Gaussian); err != nil {
			return err
		}
	}
	return nil
}

// affine adds W Sigma W' as a network computes it: the second product, which is
// symmetric, by one triangle.
func (s *suite) affine(d dense, in covprop.Gaussian) (*task, error) {
	n := d.w.Rows
	a, err := layer.NewAffine(d.w.Data, d.b, n, n, 1, 1)
	if err != nil {
		return nil, err
	}
	sigma, half, dst := in.Cov.(*covprop.Dense).RawMatrix(), square(n, make([]float64, n*n)), square(n, make([]float64, n*n))
	t := s.work(sandwich(n, n), func(ctx context.Context) error {
		if err := a.MulTo(ctx, 1, half, sigma, false); err != nil {
			return err
		}
		return a.SandwichTo(ctx, 1, dst, half)
	})
	s.result("affine_n1024", milliseconds, func() (float64, string) {
		return t.ms(), fmt.Sprintf("%.3g ms at the rate of gemm_f64_n1024_1t", t.flops()/s.gemm.rate()/1e6)
	})
	return t, nil
}

// series adds the covariances of ReLUs at the input x, and their marginals.
func (s *suite) series(ctx context.Context, name string, affine *task, x covprop.Gaussian) error {
	n := x.Dim()
	rule, err := newReLU(n)
	if err != nil {
		return err
	}
	var m layer.Moments
	o := layer.Options{Threads: 1}
	v := make([]float64, n)
	x.Cov.VarianceTo(v)
	if err := rule.MomentsTo(ctx, &m, x.Mean, v, true, o); err != nil {
		return err
	}
	cov, dst := x.Cov.(*covprop.Dense).RawMatrix(), square(n, make([]float64, n*n))
	series := s.time(func(ctx context.Context) error {
		_, err := layer.CovarianceTo(ctx, dst, cov, &m, &m, true, o)
		return err
	})
	s.result("series_"+name, "ns/entry", func() (float64, string) {
		return series.ms() * 1e6 / float64(n*n), fmt.Sprintf("root mean square correlation %.2g", correlation(cov))
	})
	s.result("series_"+name+"_vs_affine", ratio, func() (float64, string) { return series.over(affine), "" })
	marginals := s.time(func(ctx context.Context) error { return rule.MomentsTo(ctx, &m, x.Mean, v, true, o) })
	s.result("marginals_"+name, "ns/unit", func() (float64, string) {
		return marginals.ms() * 1e6 / float64(n), percent(marginals.over(affine), "affine_n1024")
	})
	return nil
}

// correlation is the root mean square of those between two elements.
func correlation(cov blas64.General) float64 {
	n, sum := cov.Rows, 0.
	for i := range n {
		for j := range i {
			c := cov.Data[i*cov.Stride+j]
			sum += c / cov.Data[i*cov.Stride+i] * c / cov.Data[j*cov.Stride+j]
		}
	}
	return math.Sqrt(sum / float64(n*(n-1)/2))
}
