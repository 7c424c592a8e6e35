package kernel

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
)

// random returns an r x c matrix with a stride beyond c; what lies between the
// rows is a guard that no kernel may touch.
func random(rng *rand.Rand, r, c int) blas64.General {
	const guard = 3
	a := blas64.General{Rows: r, Cols: c, Stride: c + guard, Data: make([]float64, r*(c+guard))}
	for i := range a.Data {
		a.Data[i] = math.Inf(1)
	}
	for i := range r {
		for j := range c {
			a.Data[i*a.Stride+j] = rng.NormFloat64()
		}
	}
	return a
}

func checkGuards(t *testing.T, a blas64.General) {
	t.Helper()
	for i := range a.Rows {
		for _, v := range a.Data[i*a.Stride+a.Cols : (i+1)*a.Stride] {
			if !math.IsInf(v, 1) {
				t.Fatalf("guard after row %d was overwritten with %v", i, v)
			}
		}
	}
}

func at(a blas64.General, i, j int) float64 { return a.Data[i*a.Stride+j] }

var shapes = [][3]int{{1, 1, 1}, {1, 7, 3}, {5, 1, 2}, {64, 192, 256}, {65, 193, 257}, {63, 200, 31}, {130, 97, 300}, {3, 2, 0}}

// TestProducts compares the tiled products with the definition. The rounding
// of a sum of k products of standard normals is below 1e-13 for these k.
func TestProducts(t *testing.T) {
	for _, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		for _, threads := range []int{1, 3} {
			for _, add := range []bool{false, true} {
				t.Run(fmt.Sprintf("%dx%dx%d/threads=%d/add=%v", m, n, k, threads, add), func(t *testing.T) {
					rng := rand.New(rand.NewPCG(1, 2))
					a, b, bt, c := random(rng, m, k), random(rng, k, n), random(rng, n, k), random(rng, m, n)
					want := make([]float64, m*n)
					wantT := make([]float64, m*n)
					for i := range m {
						for j := range n {
							if add {
								want[i*n+j] = at(c, i, j)
							}
							wantT[i*n+j] = want[i*n+j]
							for l := range k {
								want[i*n+j] += at(a, i, l) * at(b, l, j)
								wantT[i*n+j] += at(a, i, l) * at(bt, j, l)
							}
						}
					}
					ct := c
					ct.Data = append([]float64(nil), c.Data...)
					if err := MulTo(context.Background(), threads, c, a, b, add); err != nil {
						t.Fatal(err)
					}
					if err := MulTransTo(context.Background(), threads, ct, a, bt, add); err != nil {
						t.Fatal(err)
					}
					for i := range m {
						for j := range n {
							if d := math.Abs(at(c, i, j) - want[i*n+j]); !(d <= 1e-13*float64(k+1)) {
								t.Fatalf("a b: (%d,%d) is off by %g", i, j, d)
							}
							if d := math.Abs(at(ct, i, j) - wantT[i*n+j]); !(d <= 1e-13*float64(k+1)) {
								t.Fatalf("a b': (%d,%d) is off by %g", i, j, d)
							}
						}
					}
					checkGuards(t, c)
					checkGuards(t, ct)
				})
			}
		}
	}
}

// TestMulSym checks that a symmetric product equals the full one to rounding,
// is symmetric bit for bit, and does not depend on the number of threads.
func TestMulSym(t *testing.T) {
	for _, n := range []int{1, 2, 63, 64, 65, 200, 385} {
		rng := rand.New(rand.NewPCG(3, uint64(n)))
		w, x := random(rng, n, 40), random(rng, 40, 40)
		s, ws := random(rng, 40, 40), random(rng, n, 40)
		if err := MulTransTo(context.Background(), 1, s, x, x, false); err != nil {
			t.Fatal(err)
		}
		if err := MulTo(context.Background(), 1, ws, w, s, false); err != nil {
			t.Fatal(err)
		}
		sym, one, full := random(rng, n, n), random(rng, n, n), random(rng, n, n)
		if err := MulSymTo(context.Background(), 2, sym, ws, w); err != nil {
			t.Fatal(err)
		}
		if err := MulSymTo(context.Background(), 1, one, ws, w); err != nil {
			t.Fatal(err)
		}
		if err := MulTransTo(context.Background(), 1, full, ws, w, false); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				if at(sym, i, j) != at(sym, j, i) || at(sym, i, j) != at(one, i, j) {
					t.Fatalf("n=%d: (%d,%d) is %v, its mirror %v, on one thread %v", n, i, j, at(sym, i, j), at(sym, j, i), at(one, i, j))
				}
				if d := math.Abs(at(sym, i, j) - at(full, i, j)); d > 1e-10 { // entries are about 40^2 in size
					t.Fatalf("n=%d: (%d,%d) is off by %g", n, i, j, d)
				}
			}
		}
		checkGuards(t, sym)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{2, 300} {
		a := random(rng, n, n)
		for _, threads := range []int{1, 2} {
			if err := MulTo(ctx, threads, random(rng, n, n), a, a, false); err != context.Canceled {
				t.Errorf("n=%d, %d threads: got %v, want %v", n, threads, err, context.Canceled)
			}
		}
	}
}

// countdown is a context that is cancelled once it has been asked n times.
type countdown struct {
	context.Context
	n atomic.Int64
}

func (c *countdown) Err() error {
	if c.n.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelledInside: a product that has begun ends before its last tile.
func TestCancelledInside(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a := random(rng, 400, 400)
	for _, threads := range []int{1, 2} {
		ctx := &countdown{Context: context.Background()}
		ctx.n.Store(5)
		dst := random(rng, 400, 400)
		if err := MulTo(ctx, threads, dst, a, a, false); err != context.Canceled {
			t.Errorf("%d threads: got %v, want %v", threads, err, context.Canceled)
		}
	}
}

func BenchmarkMulSym(b *testing.B) {
	for _, n := range []int{128, 512} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			rng := rand.New(rand.NewPCG(1, 1))
			w, ws, dst := random(rng, n, n), random(rng, n, n), random(rng, n, n)
			for b.Loop() {
				if err := MulSymTo(context.Background(), 1, dst, ws, w); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(n)*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
