package layer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/layer"
	"github.com/covprop/covprop/optest"
)

// A factor is the Gaussian mean + root z, z standard normal of dimension
// root.Cols.
type factor struct {
	mean []float64
	root blas64.General
}

func newFactor(rng *rand.Rand, n, rank int, scale float64) factor {
	f := factor{mean: make([]float64, n), root: blas64.General{Rows: n, Cols: rank, Stride: rank, Data: make([]float64, n*rank)}}
	for i := range f.mean {
		f.mean[i] = rng.NormFloat64()
	}
	for i := range f.root.Data {
		f.root.Data[i] = scale * rng.NormFloat64()
	}
	return f
}

// cov returns root root'.
func (f factor) cov() blas64.General {
	n := len(f.mean)
	c := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, f.root, f.root, 0, c)
	return c
}

// cut splits the n x n covariance c into the joint moments of inputs with the
// given lengths. flip stores the blocks between two inputs the other way
// round.
func cut(mean []float64, c blas64.General, lens []int, flip bool) *layer.Joint {
	g := &layer.Joint{}
	part := func(i, j, r, k int) blas64.General {
		return blas64.General{Rows: r, Cols: k, Stride: c.Stride, Data: c.Data[i*c.Stride+j:]}
	}
	oi := 0
	for i, n := range lens {
		g.Mean = append(g.Mean, mean[oi:oi+n])
		row, oj := make([]layer.Block, i+1), 0
		for j, k := range lens[:i+1] {
			row[j] = layer.Block{Dense: part(oi, oj, n, k)}
			if flip && i != j {
				row[j] = layer.Block{Dense: part(oj, oi, k, n), Trans: true}
			}
			oj += k
		}
		g.Cov = append(g.Cov, row)
		oi += n
	}
	return g
}

// A response is what a rule returned, with its gains as one matrix.
type response struct {
	layer.Response
	gain blas64.General // (out, all inputs)
	acc  covprop.Accuracy
}

// respond runs a rule. Work and Cov start as NaN, as their contents are
// undefined.
func respond(rule layer.Nonlinear, in *layer.Joint, diagonal bool, o layer.Options) (*response, error) {
	m := rule.OutputLen()
	r := &response{}
	r.Mean = make([]float64, m)
	r.Work = nans(rule.WorkFloats(diagonal))
	if diagonal {
		r.Variance = nans(m)
	} else {
		r.Cov = blas64.General{Rows: m, Cols: m, Stride: m, Data: nans(m * m)}
		r.Gain = make([]layer.Gain, len(rule.Inputs()))
	}
	var err error
	if r.acc, err = rule.MomentsTo(context.Background(), &r.Response, in, o); err != nil || diagonal {
		return r, err
	}
	n, at := 0, 0
	for _, k := range rule.Inputs() {
		n += k
	}
	r.gain = blas64.General{Rows: m, Cols: n, Stride: n, Data: nans(m * n)}
	for i, k := range rule.Inputs() {
		dst := blas64.General{Rows: m, Cols: k, Stride: n, Data: r.gain.Data[at:]}
		if err := r.Gain[i].MulTo(context.Background(), o.Threads, dst, identity(k), false); err != nil {
			return nil, err
		}
		if err := sameTransposed(r.Gain[i], dst); err != nil {
			return nil, err
		}
		at += k
	}
	return r, nil
}

// sameTransposed checks MulTransTo, and adding, against the matrix that MulTo
// gave.
func sameTransposed(g layer.Gain, m blas64.General) error {
	ctx := context.Background()
	got := blas64.General{Rows: m.Cols, Cols: m.Rows, Stride: m.Rows, Data: nans(m.Rows * m.Cols)}
	if err := g.MulTransTo(ctx, 2, got, identity(m.Cols), false); err != nil {
		return err
	}
	if err := g.MulTransTo(ctx, 1, got, identity(m.Cols), true); err != nil {
		return err
	}
	twice := clone(m)
	if err := g.MulTo(ctx, 2, twice, identity(m.Cols), true); err != nil {
		return err
	}
	for i := range m.Rows {
		for j := range m.Cols {
			want := 2 * get(m, i, j)
			if get(got, j, i) != want || get(twice, i, j) != want {
				return fmt.Errorf("gain (%d,%d): MulTo gives %v, added to itself %v, twice MulTransTo %v", i, j, want/2, get(twice, i, j), get(got, j, i))
			}
		}
	}
	return nil
}

func identity(n int) blas64.General {
	e := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	for i := range n {
		e.Data[i*n+i] = 1
	}
	return e
}

func nans(n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = math.NaN()
	}
	return x
}

// exactMoments returns the mean of y = rule(x) and the covariances of (y, x)
// by the tensor product of the three-point Gauss-Hermite rule in z, which is
// exact for polynomials of degree 5 in every z.
func exactMoments(rule layer.Rule, f factor) (mean []float64, cov blas64.General) {
	nodes, weights := []float64{-math.Sqrt(3), 0, math.Sqrt(3)}, []float64{1. / 6, 2. / 3, 1. / 6}
	m, n, rank := rule.OutputLen(), len(f.mean), f.root.Cols
	points := 1
	for range rank {
		points *= 3
	}
	visit := func(do func(w float64, yx []float64)) {
		yx := make([]float64, m+n)
		for p := range points {
			w, x := 1., yx[m:]
			copy(x, f.mean)
			for k := range rank {
				z := p % 3
				p /= 3
				w *= weights[z]
				for i := range x {
					x[i] += f.root.Data[i*rank+k] * nodes[z]
				}
			}
			rule.Forward(yx[:m], split(x, rule.Inputs())...)
			do(w, yx)
		}
	}
	mean = make([]float64, m+n)
	visit(func(w float64, yx []float64) {
		for i, v := range yx {
			mean[i] += w * v
		}
	})
	cov = blas64.General{Rows: m + n, Cols: m + n, Stride: m + n, Data: make([]float64, (m+n)*(m+n))}
	visit(func(w float64, yx []float64) {
		for i := range yx {
			for j := range yx {
				cov.Data[i*(m+n)+j] += w * (yx[i] - mean[i]) * (yx[j] - mean[j])
			}
		}
	})
	return mean, cov
}

func split(x []float64, lens []int) (parts [][]float64) {
	for _, n := range lens {
		parts, x = append(parts, x[:n]), x[n:]
	}
	return parts
}

// wantMoments checks r against the mean and the covariance of (y, x), within
// tol of the standard deviations; a mean also within tol of its own size.
func wantMoments(t *testing.T, what string, r *response, mean []float64, cov blas64.General, xcov blas64.General, tol float64) {
	t.Helper()
	m, n := len(r.Mean), xcov.Rows
	sd := func(i int) float64 { return math.Sqrt(get(cov, i, i)) }
	for i := range m {
		if d := math.Abs(r.Mean[i] - mean[i]); !(d <= tol*max(sd(i), math.Abs(mean[i]))) {
			t.Errorf("%s: mean %d is %v, want %v", what, i, r.Mean[i], mean[i])
		}
		if r.Diagonal() {
			if d := math.Abs(r.Variance[i] - get(cov, i, i)); !(d <= tol*get(cov, i, i)) {
				t.Errorf("%s: variance %d is %v, want %v, off by %.2g", what, i, r.Variance[i], get(cov, i, i), d/get(cov, i, i))
			}
			continue
		}
		for j := range m {
			if d := math.Abs(get(r.Cov, i, j) - get(cov, i, j)); !(d <= tol*sd(i)*sd(j)) {
				t.Errorf("%s: covariance (%d,%d) is %v, want %v, off by %.2g", what, i, j, get(r.Cov, i, j), get(cov, i, j), d/sd(i)/sd(j))
			}
			if get(r.Cov, i, j) != get(r.Cov, j, i) {
				t.Errorf("%s: covariance (%d,%d) is not symmetric", what, i, j)
			}
		}
		for j := range n { // Cov(y, x) = G Cov(x)
			got := 0.
			for k := range n {
				got += get(r.gain, i, k) * get(xcov, k, j)
			}
			if d := math.Abs(got - get(cov, i, m+j)); !(d <= tol*sd(i)*sd(m+j)) {
				t.Errorf("%s: covariance of y %d with x %d is %v, want %v, off by %.2g", what, i, j, got, get(cov, i, m+j), d/sd(i)/sd(m+j))
			}
		}
	}
}

// TestProducts compares the products, whose moments are polynomials, with a
// quadrature that is exact. That subtracts means up to a thousand times as large
// as the standard deviations, and so is good to 1e-12 of these.
func TestProducts(t *testing.T) {
	const tol = 1e-12
	rng := rand.New(rand.NewPCG(1, 2))
	for name, rule := range products(t) {
		lens := rule.Inputs()
		for _, scale := range []float64{1, 1e-3, 1e3} {
			f := newFactor(rng, lens[0]+lens[1], 6, scale)
			mean, cov := exactMoments(rule, f)
			xcov := f.cov()
			for _, flip := range []bool{false, true} {
				r, err := respond(rule, cut(f.mean, xcov, lens, flip), false, layer.Options{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				if r.acc.Status != covprop.Exact {
					t.Errorf("%s: accuracy %+v", name, r.acc)
				}
				wantMoments(t, name, r, mean, cov, xcov, tol)
				r, err = respond(rule, cut(f.mean, xcov, lens, flip), true, layer.Options{})
				if err != nil {
					t.Fatal(err)
				}
				wantMoments(t, name, r, mean, cov, xcov, tol)
			}
		}
	}
}

// products returns a product and matrix products of awkward shapes.
func products(t *testing.T) map[string]layer.Nonlinear {
	t.Helper()
	m := map[string]layer.Nonlinear{}
	add := func(name string, r layer.Nonlinear, err error) {
		if err != nil {
			t.Fatal(err)
		}
		m[name] = r
	}
	p, err := layer.NewProduct(5)
	add("product", p, err)
	for _, s := range [][4]int{{1, 1, 1, 1}, {1, 2, 3, 4}, {1, 3, 1, 2}, {3, 1, 2, 1}, {2, 2, 3, 2}} {
		p, err := layer.NewMatProduct(s[0], s[1], s[2], s[3])
		add(fmt.Sprint("matrix product ", s), p, err)
	}
	return m
}

// TestProductForms: blocks that are diagonal or zero give what dense ones do.
// They skip terms that are zero, so only the order of sums may differ: 1e-14.
func TestProductForms(t *testing.T) {
	const tol = 1e-14
	rng := rand.New(rand.NewPCG(3, 4))
	for name, rule := range products(t) {
		lens := rule.Inputs()
		n := lens[0] + lens[1]
		for form := range 8 {
			f := newFactor(rng, n, n, 1)
			dense := f.cov()
			clear(dense.Data)
			sparse := cut(f.mean, dense, lens, false)
			if form&4 == 0 || lens[0] != lens[1] {
				sparse.Cov[1][0] = layer.Block{}
			}
			full := factor{f.mean, newFactor(rng, n, n, 1).root}.cov()
			at := 0
			for i, k := range lens {
				block := blas64.General{Rows: k, Cols: k, Stride: n, Data: dense.Data[at*n+at:]}
				if form>>i&1 == 1 {
					v := make([]float64, k)
					for j := range v {
						v[j] = 1 + rng.Float64()
						block.Data[j*n+j] = v[j]
					}
					sparse.Cov[i][i] = layer.Block{Diag: v}
				} else {
					for r := range k {
						copy(block.Data[r*n:][:k], full.Data[(at+r)*n+at:][:k])
					}
				}
				at += k
			}
			if form&4 != 0 && lens[0] == lens[1] {
				c := make([]float64, lens[0])
				for j := range c {
					c[j] = .5
					dense.Data[j*n+lens[0]+j], dense.Data[(lens[0]+j)*n+j] = .5, .5
				}
				sparse.Cov[1][0] = layer.Block{Diag: c}
			}
			for _, diagonal := range []bool{false, true} {
				want, err := respond(rule, cut(f.mean, dense, lens, false), diagonal, layer.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := respond(rule, sparse, diagonal, layer.Options{Threads: 2})
				if err != nil {
					t.Fatal(err)
				}
				wantSame(t, fmt.Sprintf("%s, form %d", name, form), got, want, tol)
			}
		}
	}
}

// wantSame compares two responses relative to the standard deviations.
func wantSame(t *testing.T, what string, got, want *response, tol float64) {
	t.Helper()
	for i := range want.Mean {
		if d := math.Abs(got.Mean[i] - want.Mean[i]); !(d <= tol*max(1, math.Abs(want.Mean[i]))) {
			t.Errorf("%s: mean %d is %v, want %v", what, i, got.Mean[i], want.Mean[i])
		}
		if want.Diagonal() {
			if d := math.Abs(got.Variance[i] - want.Variance[i]); !(d <= tol*want.Variance[i]) {
				t.Errorf("%s: variance %d is %v, want %v", what, i, got.Variance[i], want.Variance[i])
			}
			continue
		}
		for j := range want.Mean {
			scale := math.Sqrt(get(want.Cov, i, i) * get(want.Cov, j, j))
			if d := math.Abs(get(got.Cov, i, j) - get(want.Cov, i, j)); !(d <= tol*scale) {
				t.Errorf("%s: covariance (%d,%d) is %v, want %v", what, i, j, get(got.Cov, i, j), get(want.Cov, i, j))
			}
		}
	}
}

// TestSquare: the product of a tensor with itself, whose moments are those of a
// square: E = m^2 + v, Var = 4 m^2 v + 2 v^2.
func TestSquare(t *testing.T) {
	p, err := layer.NewProduct(3)
	if err != nil {
		t.Fatal(err)
	}
	mean, v := []float64{1, -2, 0}, []float64{.5, 0, 3}
	block := layer.Block{Diag: v}
	in := &layer.Joint{Mean: [][]float64{mean, mean}, Cov: [][]layer.Block{{block}, {block, block}}}
	r, err := respond(p, in, false, layer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range mean {
		if want := m*m + v[i]; r.Mean[i] != want {
			t.Errorf("mean %d is %v, want %v", i, r.Mean[i], want)
		}
		if want := 4*m*m*v[i] + 2*v[i]*v[i]; get(r.Cov, i, i) != want {
			t.Errorf("variance %d is %v, want %v", i, get(r.Cov, i, i), want)
		}
	}
}

// TestProductCancels: y = (1 + z)(1 - z) = 1 - z^2 has the variance 2 v^2, of
// which rounding in terms of size v leaves nothing to rely on if v is 1e-20.
// Then the accuracy says so, and the variance is not negative.
func TestProductCancels(t *testing.T) {
	p, err := layer.NewProduct(1)
	if err != nil {
		t.Fatal(err)
	}
	mp, err := layer.NewMatProduct(1, 1, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []float64{1e-3, 1e-20, math.Nextafter(1e-20, 1)} {
		for _, rule := range []layer.Nonlinear{p, mp} {
			in := cut([]float64{1, 1}, blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{v, -v, -v, v}}, []int{1, 1}, false)
			r, err := respond(rule, in, false, layer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got, want := get(r.Cov, 0, 0), 2*v*v
			if got < 0 || math.Abs(got-want) > max(r.acc.Bound, 1e-12)*got {
				t.Errorf("%s: variance %v for v = %v, want %v: accuracy %+v", rule.Name(), got, v, want, r.acc)
			}
			if honest := r.acc.Status == covprop.Approximate; honest != (v < 1e-10) {
				t.Errorf("%s: accuracy %+v for v = %v", rule.Name(), r.acc, v)
			}
		}
	}
}

// TestProductLayers runs the conformance suite, with Monte Carlo.
func TestProductLayers(t *testing.T) {
	for name, rule := range products(t) {
		t.Run(name, func(t *testing.T) { optest.TestLayer(t, rule, optest.LayerOptions{}) })
	}
}

// TestProductsRefuse: empty shapes are errors, and a cancelled context ends a
// run.
func TestProductsRefuse(t *testing.T) {
	if _, err := layer.NewProduct(0); err == nil {
		t.Error("an empty product is accepted")
	}
	if _, err := layer.NewMatProduct(1, 2, 0, 3); err == nil {
		t.Error("an empty matrix product is accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for name, rule := range products(t) {
		lens := rule.Inputs()
		m, n := rule.OutputLen(), lens[0]+lens[1]
		r := layer.Response{
			Mean: make([]float64, m), Cov: blas64.General{Rows: m, Cols: m, Stride: m, Data: make([]float64, m*m)},
			Gain: make([]layer.Gain, 2), Work: make([]float64, rule.WorkFloats(false)),
		}
		in := cut(make([]float64, n), newFactor(rand.New(rand.NewPCG(1, 1)), n, 2, 1).cov(), lens, false)
		if _, err := rule.MomentsTo(ctx, &r, in, layer.Options{Threads: 2}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
