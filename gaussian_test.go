package covprop

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

func TestNewDense(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name string
		n    int
		data []float64
		want string // part of the error; empty if it is legal
	}{
		{"definite", 2, []float64{2, 1, 1, 3}, ""},
		{"singular", 2, []float64{1, 1, 1, 1}, ""},
		{"zero", 2, make([]float64, 4), ""},
		{"zero variance", 2, []float64{0, 0, 0, 4}, ""},
		{"asymmetric by rounding to float32", 2, []float64{1, float64(float32(.3)), .3, 1}, ""},
		{"tiny and huge", 2, []float64{1e-200, 0, 0, 1e200}, ""},
		{"too short", 2, []float64{1, 0, 0}, "has 3 values"},
		{"no dimension", 0, nil, "has 0 values"},
		{"NaN on the diagonal", 2, []float64{nan, 0, 0, 1}, "(0,0) is NaN"},
		{"Inf beside it", 2, []float64{1, inf, inf, 1}, "must be finite"},
		{"negative variance", 2, []float64{1, 0, 0, -1e-30}, "variance 1 is negative"},
		{"asymmetric", 2, []float64{1, .5, .4, 1}, "not symmetric"},
		{"correlation beyond one", 2, []float64{1, 1.1, 1.1, 1}, "more than the standard deviations"},
		{"covariance with a constant", 2, []float64{0, .1, .1, 1}, "more than the standard deviations"},
		{"indefinite", 3, []float64{1, .9, -.9, .9, 1, .9, -.9, .9, 1}, "eigenvalue -0.8"},
	} {
		d, err := NewDense(c.n, c.data)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if d.At(0, 1) != d.At(1, 0) {
				t.Errorf("%s: not made symmetric", c.name)
			}
			continue
		}
		var input *InputError
		if !errors.As(err, &input) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an InputError with %q", c.name, err, c.want)
		}
	}
}

// TestRankDeficient: A A' of any rank passes, also after rounding to float32.
func TestRankDeficient(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2, 10, 60} {
		for rank := 1; rank <= n; rank += 1 + n/4 {
			a := mat.NewDense(n, rank, nil)
			a.Apply(func(_, _ int, _ float64) float64 { return rng.NormFloat64() }, a)
			var s mat.Dense
			s.Mul(a, a.T())
			for _, round := range []bool{false, true} {
				data := append([]float64(nil), s.RawMatrix().Data...)
				if round {
					for i, v := range data {
						data[i] = float64(float32(v))
					}
				}
				if _, err := NewDense(n, data); err != nil {
					t.Errorf("n=%d, rank %d, rounded %v: %v", n, rank, round, err)
				}
			}
		}
	}
}

func TestNewGaussian(t *testing.T) {
	for _, c := range []struct {
		name string
		mean []float64
		cov  Covariance
		ok   bool
	}{
		{"independent", []float64{1, 2}, Diagonal{1, 0}, true},
		{"empty", nil, Diagonal{}, false},
		{"NaN in the mean", []float64{math.NaN()}, Diagonal{1}, false},
		{"no covariance", []float64{1}, nil, false},
		{"other dimension", []float64{1, 2}, Diagonal{1}, false},
		{"negative variance", []float64{1}, Diagonal{-1}, false},
		{"infinite variance", []float64{1}, Diagonal{math.Inf(1)}, false},
	} {
		_, err := NewGaussian(c.mean, c.cov)
		var input *InputError
		if c.ok != (err == nil) || err != nil && !errors.As(err, &input) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for _, std := range [][]float64{{-1}, {math.NaN()}, {math.Inf(1)}} {
		if _, err := NewDiagonal(std); err == nil {
			t.Errorf("standard deviation %v is accepted", std)
		}
	}
}

// TestGonum: covariances work as gonum matrices and normals go both ways.
func TestGonum(t *testing.T) {
	d, err := NewDense(2, []float64{2, .5, .5, 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Covariance{d, Diagonal{2, 3}} {
		var chol mat.Cholesky
		if !chol.Factorize(c) {
			t.Fatalf("%T: gonum cannot factorize it", c)
		}
		want := c.At(0, 0)*c.At(1, 1) - c.At(0, 1)*c.At(1, 0)
		if got := chol.Det(); math.Abs(got-want) > 1e-14 {
			t.Errorf("%T: determinant %v, want %v", c, got, want)
		}
		var p mat.Dense
		p.Mul(c, c.T())
		if got, want := p.At(0, 0), c.At(0, 0)*c.At(0, 0)+c.At(0, 1)*c.At(0, 1); math.Abs(got-want) > 1e-14 {
			t.Errorf("%T: square has %v, want %v", c, got, want)
		}
	}
	g := Gaussian{Mean: []float64{1, -1}, Cov: d}
	n, ok := g.Normal(nil)
	if !ok {
		t.Fatal("not positive definite")
	}
	back := FromNormal(n)
	for i := range 2 {
		if back.Mean[i] != g.Mean[i] {
			t.Errorf("mean %d is %v, want %v", i, back.Mean[i], g.Mean[i])
		}
		for j := range 2 {
			// gonum keeps the Cholesky factor, so two roundings.
			if math.Abs(back.Cov.At(i, j)-d.At(i, j)) > 1e-15 {
				t.Errorf("covariance (%d,%d) is %v, want %v", i, j, back.Cov.At(i, j), d.At(i, j))
			}
		}
	}
	if _, ok := (Gaussian{Mean: []float64{0, 0}, Cov: Diagonal{1, 0}}).Normal(nil); ok {
		t.Error("a singular covariance became a distmv.Normal")
	}
}

func TestResultViews(t *testing.T) {
	cov := mat.NewDense(3, 3, []float64{1, 2, 3, 2, 5, 6, 3, 6, 9})
	r := Result{
		Gaussian: Gaussian{Mean: []float64{1, 2, 3}, Cov: DenseOf(cov.RawMatrix())},
		Outputs:  []Output{{Name: "a", Len: 1}, {Name: "b", Offset: 1, Len: 2}},
	}
	b := r.Output(1)
	if b.Mean[1] != 3 || b.Cov.At(0, 0) != 5 || b.Cov.At(0, 1) != 6 {
		t.Errorf("output b is %v", b)
	}
	c, ok := r.Cross(0, 1)
	if want := (blas64.General{Rows: 1, Cols: 2, Stride: 3}); !ok || c.Rows != want.Rows || c.Cols != want.Cols || c.Data[0] != 2 || c.Data[1] != 3 {
		t.Errorf("cross-covariance is %v", c)
	}
	r.Cov = Diagonal{1, 5, 9}
	if b = r.Output(1); b.Cov.At(1, 1) != 9 {
		t.Errorf("diagonal output b is %v", b)
	}
	if _, ok := r.Cross(0, 1); ok {
		t.Error("a diagonal result has a cross-covariance")
	}
}

func TestAccuracyWorse(t *testing.T) {
	exact, small, large := Accuracy{}, CertifiedBy(1e-12, "a"), CertifiedBy(1e-9, "b")
	rough, unknown := ApproximatedBy(1e-15, "c"), ApproximatedBy(math.NaN(), "d")
	order := []Accuracy{exact, small, large, rough, unknown}
	for i, a := range order {
		for j, b := range order {
			if got, want := a.Worse(b), order[max(i, j)]; got != want {
				t.Errorf("worse of %+v and %+v is %+v", a, b, got)
			}
			both := a.And(b)
			if w := a.Worse(b); both.Status != w.Status || both.Reason != w.Reason || both.Bound != max(a.Bound, b.Bound) {
				t.Errorf("%+v and %+v make %+v", a, b, both)
			}
		}
	}
	if CertifiedBy(0, "x") != exact {
		t.Error("a zero bound is not exact")
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	e := &ModelError{File: "m.onnx", Node: "n", Op: "Gemm", Err: errors.New("is wrong")}
	if got, want := e.Error(), `m.onnx: node "n" (Gemm): is wrong`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m := &MemoryError{Tensor: "t", Bytes: 3 << 30, Peak: 5 << 30, Limit: 1 << 20}
	for _, part := range []string{`"t"`, "3.00 GiB", "5.00 GiB", "1.00 MiB"} {
		if !strings.Contains(m.Error(), part) {
			t.Errorf("%q does not name %s", m.Error(), part)
		}
	}
}
