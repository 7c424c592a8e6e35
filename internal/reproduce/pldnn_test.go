package reproduce

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
)

// testInput is a random input that is wide enough to reach both sides of the
// ReLUs.
func testInput(n int) covprop.Gaussian {
	return randomInput(rand.New(rand.NewPCG(5, 6)), n, Spectral)
}

func testSubject(t *testing.T, widths ...int) subject {
	t.Helper()
	d := design{linear: func(rng *rand.Rand) ([]layer.Rule, error) { return dense(rng, widths...) }}
	s, err := d.draw(rand.New(rand.NewPCG(7, 8)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func propagate(t *testing.T, p covprop.Propagator, in covprop.Gaussian) covprop.Result {
	t.Helper()
	res, err := p.Propagate(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// A network with one layer of ReLUs is not linearised at all: PL-DNN is exact.
func TestPLDNNWithOneLayerIsExact(t *testing.T) {
	s, in := testSubject(t, 12, 15, 3), testInput(12)
	got, want := propagate(t, PLDNN{Before: s.before, After: s.after}, in), propagate(t, s.whole, in)
	for i, m := range want.Mean {
		// The tangents of affine maps are those maps to rounding, a few times
		// 2^-53 for sums of 15 terms; the series' tolerance of 1e-9 is met by
		// the same terms.
		if sd := math.Sqrt(want.Cov.At(i, i)); math.Abs(got.Mean[i]-m) > 1e-12*sd {
			t.Errorf("mean %d: got %g, want %g", i, got.Mean[i], m)
		}
		for j := range i + 1 {
			scale := math.Sqrt(want.Cov.At(i, i) * want.Cov.At(j, j))
			if g, w := got.Cov.At(i, j), want.Cov.At(i, j); math.Abs(g-w) > 1e-12*scale {
				t.Errorf("covariance %d, %d: got %g, want %g", i, j, g, w)
			}
		}
	}
	if got.Accuracy.Status != covprop.Approximate {
		t.Errorf("the result calls itself %v", got.Accuracy)
	}
}

// TestPLDNNOneUnit computes a network of single units by hand: with 1 input,
// f = w4 relu(w3 relu(w2 relu(w1 x + b1) + b2) + b3) + b4.
func TestPLDNNOneUnit(t *testing.T) {
	w, b := []float64{2, -1.5, 0.8, 3}, []float64{0.3, 1.2, 0.1, -0.7}
	var linear []layer.Rule
	for i := range w {
		a, err := layer.NewAffine(w[i:i+1], b[i:i+1], 1, 1, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		linear = append(linear, a)
	}
	d := design{linear: func(*rand.Rand) ([]layer.Rule, error) { return linear, nil }}
	s, err := d.draw(nil)
	if err != nil {
		t.Fatal(err)
	}
	const mu, sigma = 0.2, 0.4
	in := covprop.Gaussian{Mean: []float64{mu}, Cov: covprop.Diagonal{sigma * sigma}}
	// At mu the first and the third ReLU are on: the input of the second is
	// N(m, v), and behind it there is the slope w3 w4.
	m := w[1]*(w[0]*mu+b[0]) + b[1]
	sd := math.Abs(w[1]*w[0]) * sigma
	slope, offset := w[2]*w[3], w[3]*b[2]+b[3]
	phi, cdf := math.Exp(-m*m/sd/sd/2)/math.Sqrt(2*math.Pi), math.Erfc(-m/sd/math.Sqrt2)/2
	mean := m*cdf + sd*phi
	variance := (m*m+sd*sd)*cdf + m*sd*phi - mean*mean
	got := propagate(t, PLDNN{Before: s.before, After: s.after}, in)
	// The formulas above cancel little here; ten digits suffice.
	near(t, "mean", got.Mean[0], slope*mean+offset, 1e-10)
	near(t, "variance", got.Cov.At(0, 0), slope*slope*variance, 1e-10)
	zero := propagate(t, PLDNN{Before: s.before, After: s.after, ZeroMean: true}, in)
	near(t, "mean", zero.Mean[0], slope*mean+offset, 1e-10)
	near(t, "variance for zero mean", zero.Cov.At(0, 0), slope*slope*sd*sd*(0.5-0.5/math.Pi), 1e-10)
}

// near fails if got is not want within tol, relative.
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*math.Abs(want)) {
		t.Errorf("%s: got %.15g, want %.15g, off by more than %g", what, got, want, tol)
	}
}

func TestPLDNNErrors(t *testing.T) {
	s, in := testSubject(t, 12, 15, 3), testInput(12)
	if _, err := (PLDNN{Before: s.before, After: s.before}).Propagate(context.Background(), in); err == nil || !strings.Contains(err.Error(), "15 ReLUs feed a part with 12 inputs") {
		t.Errorf("parts that do not fit: got the error %v", err)
	}
}

// The two parts with a ReLU between them are the whole network.
func TestSubjectParts(t *testing.T) {
	for _, widths := range [][]int{{5, 4, 3}, {5, 4, 6, 3, 2}, {5, 4, 6, 3, 4, 3, 4, 6, 2}} {
		s := testSubject(t, widths...)
		if layers := len(widths) - 2; len(s.before.Nodes()) != layers || len(s.after.Nodes()) != layers {
			t.Errorf("%d layers of ReLUs: parts of %d and %d steps", layers, len(s.before.Nodes()), len(s.after.Nodes()))
		}
		x := testInput(5).Mean
		middle := make([]float64, s.before.OutputDim())
		got, want := make([]float64, s.whole.OutputDim()), make([]float64, s.whole.OutputDim())
		for _, err := range []error{s.before.EvalTo(middle, x), s.whole.EvalTo(want, x)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, v := range middle {
			middle[i] = math.Max(v, 0)
		}
		if err := s.after.EvalTo(got, middle); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			near(t, "output", got[i], want[i], 1e-13) // rounding, if at all
		}
	}
}

// TestRandomInput checks the norm, and that the eigenvalues are spread over
// (0, 1] as uniform ones are.
func TestRandomInput(t *testing.T) {
	const n = 60
	for _, norm := range []Norm{Spectral, Frobenius} {
		in := randomInput(rand.New(rand.NewPCG(1, 2)), n, norm)
		if err := in.Check(); err != nil {
			t.Fatal(err)
		}
		var eigen mat.EigenSym
		if !eigen.Factorize(in.Cov, false) {
			t.Fatal("no eigenvalues")
		}
		values := eigen.Values(nil)
		largest, square, sum := values[n-1], 0.0, 0.0
		for _, l := range values {
			square += l * l
			sum += l / largest
		}
		size := largest
		if norm == Frobenius {
			size = math.Sqrt(square)
		}
		near(t, string(norm)+" norm", size, 1, 1e-12) // rounding of 60 terms
		// The mean of 60 uniform numbers, relative to the largest, is 0.5 up
		// to five standard errors of 0.29/sqrt(60).
		near(t, "average eigenvalue", sum/n, 0.5, 5*2*0.29/math.Sqrt(n))
		if values[0] <= 0 {
			t.Errorf("the covariance is not positive definite: %g", values[0])
		}
		// Q is no permutation: off the diagonal there is something.
		off := 0.0
		for i := range n {
			for j := range i {
				off = math.Max(off, math.Abs(in.Cov.At(i, j)))
			}
		}
		if off < 0.01*largest {
			t.Errorf("the covariance is diagonal: the largest entry beside it is %g", off)
		}
	}
}
