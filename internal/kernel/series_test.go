package kernel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// cov runs s on matrices of either type.
func cov[T float](s *Series, ctx context.Context, threads int, dst, c matrix[T]) (bound, excess float64, err error) {
	switch d := any(dst).(type) {
	case matrix[float64]:
		return s.Run(ctx, threads, general64(d), general64(any(c).(matrix[float64])))
	case matrix[float32]:
		return s.Run32(ctx, threads, general32(d), general32(any(c).(matrix[float32])))
	}
	panic("unreachable")
}

// eachType runs a test on every instruction set, for both types of entries.
func eachType(t *testing.T, f64, f32 func(*testing.T)) {
	eachISA(t, func(t *testing.T) {
		t.Run("float64", f64)
		t.Run("float32", f32)
	})
}

// geometric returns n units of the function whose normalised coefficients are
// h_k = sqrt((1-q)/q) q^(k/2), q in (0, 1) by unit: the sum of their squares
// is 1, the covariance of two is closed,
//
//	sum_k rho^k h_ki h_kj = sqrt((1-qi)(1-qj)/(qi qj)) x/(1-x),  x = rho sqrt(qi qj),
//
// and the tail after K is q^K. Every third unit is constant.
func geometric(rng *rand.Rand, n int) (*Units, []float64) {
	u := &Units{
		N: n, K: MaxOrder, Mu: make([]float64, n), In: make([]float64, n), Out: make([]float64, n),
		H: make([]float64, MaxOrder*n), Tail: make([]float64, len(Orders)*n),
	}
	qs := make([]float64, n)
	for i := range n {
		q := .1 + .85*rng.Float64()
		qs[i] = q
		u.In[i] = .5 + rng.Float64()
		if i%3 == 2 {
			continue
		}
		u.Out[i] = .5 + rng.Float64()
		for k := 1; k <= MaxOrder; k++ {
			u.H[(k-1)*n+i] = math.Sqrt((1-q)/q) * math.Pow(q, float64(k)/2)
		}
		for o, k := range Orders {
			u.Tail[o*n+i] = math.Sqrt(math.Pow(q, float64(k)))
		}
	}
	return u, qs
}

func exact(f, g *Units, qf, qg []float64, i, j int, c float64) float64 {
	x := max(-1, min(1, correlation(c, f.In[i], g.In[j]))) * math.Sqrt(qf[i]*qg[j])
	return f.Out[i] * g.Out[j] * math.Sqrt((1-qf[i])*(1-qg[j])/(qf[i]*qg[j])) * x / (1 - x)
}

// exactPairs is the closed form as HardPairs.
type exactPairs struct {
	f, g   *Units
	qf, qg []float64
}

func (e exactPairs) CovariancesTo(_ context.Context, pairs []HardPair) error {
	for i := range pairs {
		p := &pairs[i]
		p.Cov, p.Bound = exact(e.f, e.g, e.qf, e.qg, p.I, p.J, p.Rho*e.f.In[p.I]*e.g.In[p.J]), 0
	}
	return nil
}

// correlated returns a covariance for f and g whose correlations cover [-1, 1]
// down to 1e-6, a tenth of them 1 or -1, symmetric if f is g.
func correlated[T float](rng *rand.Rand, f, g *Units) framed[T] {
	c := frame(f.N, g.N, 1, func() T { return 0 })
	for i := range c.rows {
		for j := range c.cols {
			rho := 2*rng.Float64() - 1
			switch rng.IntN(10) {
			case 0:
				rho = math.Copysign(1, rho)
			case 1, 2, 3:
				rho *= math.Pow(10, -6*rng.Float64())
			}
			*c.at(i, j) = T(rho * f.In[i] * g.In[j])
			if f == g && j < i {
				*c.at(j, i) = *c.at(i, j)
			}
		}
	}
	return c
}

// half is the relative rounding of an entry when it is stored.
func half[T float]() float64 {
	if sizeOfEntry[T]() == 4 {
		return 0x1p-24
	}
	return 0x1p-53
}

func sizeOfEntry[T float]() int {
	var v T
	if _, ok := any(v).(float32); ok {
		return 4
	}
	return 8
}

// checkEntry compares an entry with the closed form. Sums of up to 64 terms
// round by 2 x 64 x 2^-53 of the sum of their magnitudes, which is at most 1;
// the closed form divides by 1 - x >= .05: together less than 1e-13.
func checkEntry[T float](t *testing.T, i, j int, got T, want, scale, bound float64) {
	t.Helper()
	if d := math.Abs(float64(got) - want); !(d <= scale*(bound+1e-13)+math.Abs(want)*half[T]()) {
		t.Fatalf("(%d,%d) is %v, want %v, off by %g of the scale; bound %g", i, j, got, want, d/scale, bound)
	}
}

// TestSeries compares with the closed form: the error of every entry must be
// within the bound returned, the bound within the tolerance, and entries that
// the series cannot reach must come from Hard. In place, beside it and on
// several threads the bits are the same.
func TestSeries(t *testing.T) { eachType(t, closedForm[float64], closedForm[float32]) }

func closedForm[T float](t *testing.T) {
	for _, shape := range [][2]int{{0, 3}, {1, 1}, {2, 9}, {7, 7}, {8, 8}, {5, 130}, {50, 50}, {64, 64}, {65, 63}, {131, 131}} {
		for _, tol := range []float64{1e-3, 1e-9, 1e-15} {
			for _, symmetric := range []bool{false, true} {
				if symmetric && shape[0] != shape[1] {
					continue
				}
				t.Run(fmt.Sprintf("%dx%d/tol=%g/symmetric=%v", shape[0], shape[1], tol, symmetric), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(7, uint64(shape[0])))
					f, qf := geometric(rng, shape[0])
					g, qg := geometric(rng, shape[1])
					if symmetric {
						g, qg = f, qf
					}
					s := &Series{F: f, G: g, Symmetric: symmetric, Tol: tol, Hard: exactPairs{f, g, qf, qg}}
					checkClosedForm[T](t, rng, s, qf, qg)
				})
			}
		}
	}
}

func checkClosedForm[T float](t *testing.T, rng *rand.Rand, s *Series, qf, qg []float64) {
	c := correlated[T](rng, s.F, s.G)
	src := c.clone()
	beside := frame(c.rows, c.cols, 2, func() T { return 7 })
	three := src.clone()
	bound, excess, err := cov(s, context.Background(), 1, c.matrix, c.matrix)
	if err != nil {
		t.Fatal(err)
	}
	// The bound is a product of rounded factors.
	if bound > s.Tol*(1+0x1p-50) {
		t.Errorf("bound %g exceeds the tolerance %g", bound, s.Tol)
	}
	if limit := 4 * 2 * half[T](); excess > limit { // c and the two products round
		t.Errorf("excess %g, want at most %g", excess, limit)
	}
	for k, dst := range []framed[T]{beside, three} {
		from := []framed[T]{src, three}[k]
		b, e, err := cov(s, context.Background(), []int{1, 3}[k], dst.matrix, from.matrix)
		if err != nil || b != bound || e != excess {
			t.Errorf("again: bound %v, excess %v, error %v, want %v, %v", b, e, err, bound, excess)
		}
		dst.check(t)
	}
	for i := range c.rows {
		for j := range c.cols {
			got := *c.at(i, j)
			if s.Symmetric && i == j {
				if got != *src.at(i, i) || *beside.at(i, i) != 7 {
					t.Fatalf("the diagonal entry %d was touched", i)
				}
				continue
			}
			if *beside.at(i, j) != got || *three.at(i, j) != got {
				t.Fatalf("(%d,%d) is %v, beside the source %v, on three threads %v", i, j, got, *beside.at(i, j), *three.at(i, j))
			}
			if s.Symmetric && *c.at(j, i) != got {
				t.Fatalf("(%d,%d) is %v, its mirror image %v", i, j, got, *c.at(j, i))
			}
			want := exact(s.F, s.G, qf, qg, i, j, float64(*src.at(i, j)))
			checkEntry(t, i, j, got, want, s.F.Out[i]*s.G.Out[j], bound)
		}
	}
	c.check(t)
	src.check(t)
}

// TestFixedOrder checks a fixed order against the plain sum and its bound
// against the error. The orders include some beside the grid and beyond it.
func TestFixedOrder(t *testing.T) { eachType(t, fixedOrder[float64], fixedOrder[float32]) }

func fixedOrder[T float](t *testing.T) {
	const n = 70
	rng := rand.New(rand.NewPCG(5, 5))
	f, q := geometric(rng, n)
	c := correlated[T](rng, f, f)
	for _, order := range []int{1, 2, 5, 7, 64} {
		dst := frame(n, n, 0, func() T { return 0 })
		s := Series{F: f, G: f, Order: order}
		bound, _, err := cov(&s, context.Background(), 1, dst.matrix, c.matrix)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				rho := max(-1, min(1, correlation(float64(*c.at(i, j)), f.In[i], f.In[j])))
				want := 0.
				for k := 1; k <= order; k++ {
					want += math.Pow(rho, float64(k)) * f.H[(k-1)*n+i] * f.H[(k-1)*n+j]
				}
				want *= f.Out[i] * f.Out[j]
				checkEntry(t, i, j, *dst.at(i, j), want, f.Out[i]*f.Out[j], 0)
				checkEntry(t, i, j, *dst.at(i, j), exact(f, f, q, q, i, j, float64(*c.at(i, j))), f.Out[i]*f.Out[j], bound)
			}
		}
		dst.check(t)
	}
}

// recorder answers hard pairs with a number of their own and keeps them.
type recorder struct {
	mu    sync.Mutex
	pairs []HardPair
	batch int
	err   error
}

func (r *recorder) CovariancesTo(_ context.Context, pairs []HardPair) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range pairs {
		pairs[i].Cov, pairs[i].Bound = float64(1000*pairs[i].I+pairs[i].J), 1e-10
	}
	r.pairs = append(r.pairs, pairs...)
	r.batch = max(r.batch, len(pairs))
	return r.err
}

// TestHard: the hard pairs are those for which the bound at MaxOrder exceeds
// the tolerance, each once, in full batches, and their answers reach dst.
func TestHard(t *testing.T) { eachType(t, hardPairs[float64], hardPairs[float32]) }

func hardPairs[T float](t *testing.T) {
	const tol = 1e-15 // hundreds are hard
	for _, symmetric := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(3, 3))
		f, _ := geometric(rng, 131)
		g, _ := geometric(rng, 75)
		if symmetric {
			g = f
		}
		c := correlated[T](rng, f, g)
		dst := frame(f.N, g.N, 0, func() T { return 0 })
		r := &recorder{}
		s := &Series{F: f, G: g, Symmetric: symmetric, Tol: tol, Hard: r}
		bound, _, err := cov(s, context.Background(), 1, dst.matrix, c.matrix)
		if err != nil {
			t.Fatal(err)
		}
		if r.batch != HardBatch || bound != 1e-10 {
			t.Errorf("the largest batch is %d, the bound %g", r.batch, bound)
		}
		seen := map[[2]int]bool{}
		for _, p := range r.pairs {
			if seen[[2]int{p.I, p.J}] || symmetric && p.J >= p.I {
				t.Fatalf("(%d,%d) came twice or from above the diagonal", p.I, p.J)
			}
			seen[[2]int{p.I, p.J}] = true
			want := max(-1, min(1, correlation(float64(*c.at(p.I, p.J)), f.In[p.I], g.In[p.J])))
			if math.Abs(p.Rho-want) > 2*0x1p-52 {
				t.Errorf("(%d,%d) has rho %v, want %v", p.I, p.J, p.Rho, want)
			}
			if got := *dst.at(p.I, p.J); got != T(p.Cov) || symmetric && *dst.at(p.J, p.I) != got {
				t.Errorf("(%d,%d) is %v, want %v", p.I, p.J, got, p.Cov)
			}
		}
		last := len(Orders) - 1
		for i := range c.rows {
			for j := range c.cols {
				if symmetric && j >= i {
					continue
				}
				rho := min(1, math.Abs(correlation(float64(*c.at(i, j)), f.In[i], g.In[j])))
				b := math.Pow(rho, MaxOrder+1) * f.Tail[last*f.N+i] * g.Tail[last*g.N+j]
				// Within 65 roundings of the limit either is right.
				if near := math.Abs(b-tol) < 1e-13*tol; !near && (b > tol) != seen[[2]int{i, j}] {
					t.Fatalf("(%d,%d), bound %g: hard is %v", i, j, b, !(b > tol))
				}
			}
		}
		dst.check(t)
	}
}

// TestNobodyHard: without Hard the bound is that of the worst entry at
// MaxOrder, and covers the error.
func TestNobodyHard(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 9))
		f, q := geometric(rng, 40)
		c := correlated[float64](rng, f, f)
		src := c.clone()
		bound, _, err := cov(&Series{F: f, G: f, Tol: 1e-12}, context.Background(), 1, c.matrix, c.matrix)
		if err != nil {
			t.Fatal(err)
		}
		want, last := 0., len(Orders)-1
		for i := range 40 {
			for j := range 40 {
				rho := min(1, math.Abs(correlation(*src.at(i, j), f.In[i], f.In[j])))
				want = max(want, math.Pow(rho, MaxOrder+1)*f.Tail[last*40+i]*f.Tail[last*40+j])
				checkEntry(t, i, j, *c.at(i, j), exact(f, f, q, q, i, j, *src.at(i, j)), f.Out[i]*f.Out[j], bound)
			}
		}
		if want < 1e-9 || math.Abs(bound/want-1) > 1e-12 { // 65 factors, each 2^-53
			t.Errorf("bound %g, want %g", bound, want)
		}
	})
}

// TestExactSeries: where the tails are 0 the bound is 0.
func TestExactSeries(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 9))
		f, _ := geometric(rng, 40)
		clear(f.Tail)
		c := correlated[float64](rng, f, f)
		r := &recorder{}
		bound, _, err := cov(&Series{F: f, G: f, Tol: 1e-9, Hard: r}, context.Background(), 1, c.matrix, c.matrix)
		if bound != 0 || err != nil || len(r.pairs) > 0 {
			t.Errorf("bound %g, error %v, %d hard pairs", bound, err, len(r.pairs))
		}
	})
}

// TestNotFiniteSeries: NaN stays where it is and shows in the excess; what is
// infinite has correlation 1; a constant input has none, whatever c says.
func TestNotFiniteSeries(t *testing.T) {
	eachType(t, notFiniteSeries[float64], notFiniteSeries[float32])
}

func notFiniteSeries[T float](t *testing.T) {
	const n, i0 = 71, 70
	// In the first and in the last vector of the last row, in its upper half.
	for _, j0 := range []int{3, 69} {
		for _, symmetric := range []bool{false, true} {
			notFiniteEntry[T](t, n, i0, j0, symmetric)
		}
	}
}

func notFiniteEntry[T float](t *testing.T, n, i0, j0 int, symmetric bool) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, constant := range []bool{false, true} {
			rng := rand.New(rand.NewPCG(4, 4))
			f, q := geometric(rng, n)
			c := correlated[T](rng, f, f)
			*c.at(i0, j0), *c.at(j0, i0) = T(bad), T(bad)
			if constant {
				f.In[i0] = 0
			}
			src := c.clone()
			s := &Series{F: f, G: f, Symmetric: symmetric, Tol: 1e-9, Hard: exactPairs{f, f, q, q}}
			bound, excess, err := cov(s, context.Background(), 1, c.matrix, c.matrix)
			if err != nil || !(bound <= 1e-9*(1+0x1p-50)) {
				t.Fatalf("bound %v, error %v", bound, err)
			}
			switch {
			case constant && excess > 1e-6, !constant && bad != bad && excess == excess, !constant && bad == bad && !math.IsInf(excess, 1):
				t.Errorf("%v, constant %v: excess %v", bad, constant, excess)
			}
			for i := range n {
				for j := range n {
					if symmetric && i == j {
						continue
					}
					got := *c.at(i, j)
					if at := i == i0 && j == j0 || i == j0 && j == i0; at && bad != bad && !constant {
						if got == got {
							t.Fatalf("(%d,%d) is %v, want NaN", i, j, got)
						}
						continue
					}
					checkEntry(t, i, j, got, exact(f, f, q, q, i, j, float64(*src.at(i, j))), f.Out[i]*f.Out[j], bound)
				}
			}
		}
	}
}

// TestCorrelations: with the identity as activation and Out = 1 the result is
// rho, good to 4 roundings in whatever units the inputs are, unless an
// intermediate result is itself subnormal.
func TestCorrelations(t *testing.T) {
	ordinary := []float64{0, 1, 3e-300, 7e300, 1e-150, 0x1p-1021, 0x1p1021, .3, 2, 1e100}
	tiny := append(slices.Clone(ordinary), 5e-324, 3e-310, 5e-324)
	huge := append(slices.Clone(ordinary), math.MaxFloat64, 1.2e308, 1.5e308, 1.7e308)
	eachISA(t, func(t *testing.T) {
		// What the extreme ones leave in the scratch must not matter.
		for _, in := range [][]float64{huge, tiny, ordinary} {
			rng := rand.New(rand.NewPCG(1, 1))
			n := len(in)
			u := &Units{N: n, K: 1, In: in, Out: make([]float64, n), H: make([]float64, n), Tail: make([]float64, len(Orders)*n)}
			for i := range n {
				u.Out[i], u.H[i] = 1, 1
			}
			c := frame(n, n, 0, func() float64 { return 0 })
			for i := range n {
				for j := range n {
					*c.at(i, j) = (2*rng.Float64() - 1) * in[i] * in[j]
				}
			}
			src := c.clone()
			_, excess, err := cov(&Series{F: u, G: u, Order: 1}, context.Background(), 1, c.matrix, c.matrix)
			if err != nil {
				t.Fatal(err)
			}
			if excess != excess {
				t.Errorf("In = %g: the excess is NaN", in)
			}
			for i := range n {
				for j := range n {
					v := *src.at(i, j)
					if in[i] == 0 || in[j] == 0 || v == 0 {
						if *c.at(i, j) != 0 {
							t.Errorf("(%g,%g): %v, want 0", in[i], in[j], *c.at(i, j))
						}
						continue
					}
					if math.IsInf(v, 0) || math.Abs(v/in[i]) < 0x1p-1022 {
						continue
					}
					exactly := new(big.Float).SetPrec(200).SetFloat64(v)
					exactly.Quo(exactly, new(big.Float).SetFloat64(in[i]))
					exactly.Quo(exactly, new(big.Float).SetFloat64(in[j]))
					want, _ := exactly.Float64()
					want = max(-1, min(1, want))
					if math.Abs(*c.at(i, j)-want) > 4*0x1p-53*math.Abs(want) {
						t.Errorf("c = %g, In = %g, %g: rho is %v, want %v", v, in[i], in[j], *c.at(i, j), want)
					}
				}
			}
		}
	})
}

// TestSeriesShapes: units with fewer coefficients than the series may need are
// refused.
func TestSeriesShapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	f, _ := geometric(rng, 9)
	short := *f
	short.K, short.H = 5, f.H[:5*9]
	c := correlated[float64](rng, f, f)
	for _, s := range []Series{{F: f, G: &short, Tol: 1e-3}, {F: &short, G: f, Tol: 1e-3}, {F: f, G: &short, Order: 6}} {
		func() {
			defer func() {
				if recover() != badShape {
					t.Errorf("order %d: no panic", s.Order)
				}
			}()
			_, _, _ = cov(&s, context.Background(), 1, c.matrix, c.matrix)
		}()
	}
}

// TestSeriesErrors: an error of Hard or of the context ends the run and is
// returned, on any number of threads.
func TestSeriesErrors(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	f, _ := geometric(rng, 300)
	c := correlated[float64](rng, f, f)
	dst := c.clone()
	for _, threads := range []int{1, 3} {
		r := &recorder{err: errors.New("out of range")}
		s := &Series{F: f, G: f, Symmetric: true, Tol: 1e-9, Hard: r}
		if _, _, err := cov(s, context.Background(), threads, dst.matrix, c.matrix); !errors.Is(err, r.err) {
			t.Errorf("%d threads: error %v, want %v", threads, err, r.err)
		}
		if len(r.pairs) > threads*HardBatch {
			t.Errorf("%d threads: went on for %d pairs", threads, len(r.pairs))
		}
		for _, calls := range []int64{0, 4} {
			ctx := &countdown{Context: context.Background()}
			ctx.n.Store(calls)
			s.Hard = exactPairs{f, f, f.In, f.In}
			if _, _, err := cov(s, ctx, threads, dst.matrix, c.matrix); !errors.Is(err, context.Canceled) {
				t.Errorf("%d threads, %d calls: error %v, want %v", threads, calls, err, context.Canceled)
			}
		}
	}
}

// racing says that the race detector is on.
var racing bool

// TestSeriesAllocations: on one thread a run allocates nothing.
func TestSeriesAllocations(t *testing.T) {
	if racing {
		t.Skip("under the race detector a sync.Pool forgets one object in four")
	}
	eachType(t, seriesAllocations[float64], seriesAllocations[float32])
}

func seriesAllocations[T float](t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, n := range []int{50, 130} {
		f, q := geometric(rng, n)
		c := correlated[T](rng, f, f)
		dst := slices.Clone(c.data)
		var hard HardPairs = exactPairs{f, f, q, q}
		got := testing.AllocsPerRun(100, func() {
			s := Series{F: f, G: f, Symmetric: true, Tol: 1e-9, Hard: hard}
			if _, _, err := runSeries(context.Background(), 1, &s, matrix[T]{n, n, c.stride, dst}, c.matrix); err != nil {
				t.Fatal(err)
			}
		})
		if got != 0 {
			t.Errorf("n=%d: %v allocations", n, got)
		}
	}
}

// TestUnderflow: covariances of units that hardly vary, whose product with
// each other is no normal number, are 0, and those with other units what they
// are, from the series and from hard pairs alike.
func TestUnderflow(t *testing.T) { eachType(t, underflow[float64], underflow[float32]) }

func underflow[T float](t *testing.T) {
	smallest := 0x1p-1022
	if sizeOfEntry[T]() == 4 {
		smallest = 0x1p-126
	}
	rng := rand.New(rand.NewPCG(8, 1))
	f, q := geometric(rng, 75)
	for i := range f.Out {
		if i%2 == 0 {
			f.Out[i] *= math.Sqrt(smallest) * math.Pow(2, 4*rng.Float64()-2)
		}
	}
	src, dst := correlated[T](rng, f, f), frame(75, 75, 3, func() T { return 7 })
	s := Series{F: f, G: f, Symmetric: true, Tol: 1e-9, Hard: exactPairs{f, f, q, q}}
	bound, _, err := cov(&s, context.Background(), 1, dst.matrix, src.matrix)
	if err != nil {
		t.Fatal(err)
	}
	zeros := 0
	for i := range 75 {
		for j := range 75 {
			want := exact(f, f, q, q, i, j, float64(*src.at(i, j)))
			got := *dst.at(i, j)
			near := math.Abs(math.Abs(want)/smallest-1) < 1e-5 // rounding decides
			switch {
			case i == j || near:
			case math.Abs(want) > smallest:
				checkEntry(t, i, j, got, want, f.Out[i]*f.Out[j], bound)
			case got != 0:
				t.Errorf("(%d,%d) is %v, want 0 in place of %v", i, j, got, want)
			case want != 0:
				zeros++
			}
		}
	}
	if zeros < 100 {
		t.Errorf("%d entries are below the smallest normal number", zeros)
	}
}
