package graph_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/onnx"
)

// TestLayersOfModels takes every layer of trained networks at the Gaussian it
// gets there, and compares its output with Monte Carlo of that layer alone:
// each mean and covariance within 5 standard errors. The standard errors come
// from the layer's true moments, by quadrature; that of a covariance uses
//
//	Var C_ij <= (E (y_i-m_i)^4 E (y_j-m_j)^4)^(1/2) / N.
//
// For a rule of another kind they come from the sample, and the error that the
// rule states is allowed besides. Units that wake too rarely for N samples to be nearly normal, those with a
// kurtosis above N/100, are left to the golden and tail tests.
//
// The ACAS Xu network has five inputs, so all its covariances have rank 5 and
// many correlations near 1.
func TestLayersOfModels(t *testing.T) {
	for _, c := range []struct {
		model string
		std   float64
	}{
		{"acasxu_1_1", .005},
		{"acasxu_1_1", .1},
		{"power_gelu", .3},
		{"energy_tanh_silu", .3},
		{"marabou_mnist2x10", .2},
		{"marabou_certificate_and_controller_mandal", .5},
		{"concrete_ln_gelu_residual", .3},
		{"digits_attention", .03},
		{"marabou_KJ_TinyTaxiNet", .1},
	} {
		t.Run(fmt.Sprintf("%s/std=%g", c.model, c.std), func(t *testing.T) {
			net, err := onnx.ReadFile("../testdata/models/" + c.model + ".onnx")
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(11, 13))
			n := net.InputDim()
			std, mean := make([]float64, n), make([]float64, n)
			for i := range std {
				std[i] = c.std * (.5 + rng.Float64())
				mean[i] = .3 * rng.NormFloat64()
			}
			in := must(covprop.NewGaussian(mean, must(covprop.NewDiagonal(std))))
			for _, l := range net.LayersWithInputs() {
				x := must(l.Inputs.Propagate(context.Background(), in))
				t.Run(l.Name, func(t *testing.T) { checkLayer(t, rng, l, x.Gaussian) })
			}
		})
	}
}

// checkLayer compares the layer's moments at the input x with Monte Carlo.
func checkLayer(t *testing.T, rng *rand.Rand, l graph.LayerWithInputs, x covprop.Gaussian) {
	samples := 20000.
	if x.Dim() > 200 {
		samples = 2000
	}
	const denormal = 1e-300 // a variance below it has lost its digits
	b := builder{graph.NewBuilder()}
	var in []graph.Tensor
	for i, n := range l.Rule.Inputs() {
		in = append(in, must(b.Input(fmt.Sprint("x", i), []int{n})))
	}
	net := b.build(b.add("y", l.Rule, in...))
	got := must(net.Propagate(context.Background(), x))
	m := net.OutputDim()
	checkPSD(t, got.Cov)

	// x = mu + L z with the eigenvectors of Sigma, in units of the standard
	// deviations, so that every variance keeps its digits.
	n := x.Dim()
	root, std := correlationRoot(t, x)
	sum := make([]float64, m)         // of y - E y
	powers := make([]float64, m)      // of (y - E y)^4
	second := mat.NewSymDense(m, nil) // of (y - E y)(y - E y)'
	y, z, xi := make([]float64, m), mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	for range int(samples) {
		for i := range n {
			z.SetVec(i, rng.NormFloat64())
		}
		xi.MulVec(root, z)
		for i := range n {
			xi.SetVec(i, x.Mean[i]+std[i]*xi.AtVec(i))
		}
		if err := net.EvalTo(y, xi.RawVector().Data); err != nil {
			t.Fatal(err)
		}
		for i := range y {
			y[i] -= got.Mean[i]
			sum[i] += y[i]
			powers[i] += y[i] * y[i] * y[i] * y[i]
		}
		second.SymRankOne(second, 1, mat.NewVecDense(m, y))
	}
	variance, fourth := trueMoments(net, l.Rule, x)
	limit := samples / 100
	stated := 0. // the error that the result admits to, in standard deviations
	if _, ok := l.Rule.(layer.Nonlinear); ok {
		for i := range m {
			variance[i], fourth[i] = second.At(i, i)/samples, powers[i]/samples
		}
		stated = min(.05, got.Nodes[0].Bound)
		limit = 10 // rare classes of a softmax have an estimate above .05
	}
	rare := func(i int) bool { v := variance[i]; return v < denormal || fourth[i] > v*v*limit }
	checked := 0
	for i := range m {
		v := variance[i]
		if v > denormal && rare(i) {
			continue
		}
		checked++
		if d, se := math.Abs(sum[i]/samples), math.Sqrt(v/samples); d > 5*se+stated*math.Sqrt(v)+1e-12*math.Abs(got.Mean[i])+denormal {
			t.Errorf("mean %d is off by %.3g standard errors", i, d/se)
		}
		for j := range i + 1 {
			se := math.Sqrt(math.Sqrt(fourth[i]*fourth[j]) / samples)
			if d := math.Abs(second.At(i, j)/samples - got.Cov.At(i, j)); !rare(i) && !rare(j) && d > 5*se+stated*math.Sqrt(variance[i]*variance[j]) {
				t.Errorf("covariance (%d,%d) is off by %.3g standard errors", i, j, d/se)
			}
		}
	}
	if checked < m/3 {
		t.Errorf("only %d of %d units were checked", checked, m)
	}
}

// trueMoments returns the variances and E (y_i - E y_i)^4: by quadrature for an
// activation; for a linear rule, whose output is Gaussian, the fourth moment is
// 3 v^2 with v from the Jacobian.
func trueMoments(net *graph.Network, rule layer.Rule, x covprop.Gaussian) (variance, fourth []float64) {
	m := net.OutputDim()
	variance, fourth = make([]float64, m), make([]float64, m)
	jac := mat.NewDense(m, x.Dim(), nil)
	if err := net.JacobianTo(jac, x.Mean); err != nil {
		panic(err)
	}
	var js mat.Dense
	js.Mul(jac, x.Cov)
	for i := range m {
		e, ok := rule.(*layer.Elementwise)
		if !ok {
			v := mat.Dot(js.RowView(i), jac.RowView(i))
			variance[i], fourth[i] = v, 3*v*v
		} else if v := x.Cov.At(i, i); v > 0 {
			a := e.Activation(i)
			mean := ref.Mean(a.Apply, x.Mean[i], math.Sqrt(v), a.Kinks())
			f := func(x float64) float64 { d := a.Apply(x) - mean; return d * d * d * d }
			variance[i] = ref.Variance(a.Apply, x.Mean[i], math.Sqrt(v), a.Kinks())
			fourth[i] = ref.Mean(f, x.Mean[i], math.Sqrt(v), a.Kinks())
		}
	}
	return variance, fourth
}

// correlationRoot returns R with R R' the correlation matrix of x, and the
// standard deviations.
func correlationRoot(t *testing.T, x covprop.Gaussian) (*mat.Dense, []float64) {
	n, std := x.Dim(), x.Std()
	corr := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i {
			if c := x.Cov.At(i, j); c != 0 {
				corr.SetSym(i, j, c/std[i]/std[j])
			}
		}
		corr.SetSym(i, i, 1)
	}
	var eig mat.EigenSym
	if !eig.Factorize(corr, true) {
		t.Fatal("eigenvalues did not converge")
	}
	var q mat.Dense
	eig.VectorsTo(&q)
	for j, l := range eig.Values(nil) {
		for i := range n {
			q.Set(i, j, q.At(i, j)*math.Sqrt(max(l, 0)))
		}
	}
	return &q, std
}

// checkPSD checks that c is symmetric bit for bit, and positive semidefinite
// to the series' tolerance: in correlation units an eigenvalue is at least
// -n times that.
func checkPSD(t *testing.T, c covprop.Covariance) {
	n := c.SymmetricDim()
	corr := mat.NewSymDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			if c.At(i, j) != c.At(j, i) {
				t.Fatalf("not symmetric at (%d,%d)", i, j)
			}
			if v := c.At(i, j); v != 0 {
				corr.SetSym(i, j, v/math.Sqrt(c.At(i, i))/math.Sqrt(c.At(j, j)))
			}
		}
	}
	var eig mat.EigenSym
	if !eig.Factorize(corr, false) {
		t.Fatal("eigenvalues did not converge")
	}
	smallest := eig.Values(nil)[0]
	t.Logf("n=%d: smallest eigenvalue of the correlation matrix %.2g", n, smallest)
	if smallest < -float64(n)*layer.DefaultTol {
		t.Errorf("smallest eigenvalue of the correlation matrix is %g", smallest)
	}
}
