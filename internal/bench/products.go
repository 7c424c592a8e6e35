package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/blas/gonum"

	"github.com/covprop/covprop/internal/kernel"
)

// sizes are those of the products; reference is the one whose rate the
// networks are held against.
var sizes = [...]int{128, 256, 512, 1024, 2048}

const reference = 1024

// products adds the plain product and the symmetric one, and gonum's.
func (s *suite) products() {
	n := s.size(sizes[len(sizes)-1], 16)
	rng := rand.New(rand.NewPCG(1, 1))
	f64 := operands[blas64.General]{s: s, peak: s.peak64, format: "f64", view: view64(n, rng)}
	f32 := operands[blas32.General]{s: s, peak: s.peak32, format: "f32", view: view32(n, rng)}
	s.gemm = f64.products()
	f32.products()
	s.gonum(f64.view(0, s.size(reference, 16)), f64.view(1, s.size(reference, 16)), f64.view(2, s.size(reference, 16)))
}

// operands are the matrices that all products of a format share.
type operands[M kernel.General] struct {
	s      *suite
	peak   *task
	format string
	view   func(i, n int) M // the n x n matrix at the beginning of buffer i
}

// products adds the products of all sizes on one thread, and of the reference
// on two, and returns the plain one of that on one thread.
func (o operands[M]) products() (plain *task) {
	for _, n := range sizes {
		gemm := o.rate("gemm", n, 1, o.gemm)
		sym := o.rate("sym", n, 1, o.sym)
		if n != reference {
			continue
		}
		plain = gemm
		o.twice("gemm", gemm, o.gemm)
		o.twice("sym", sym, o.sym)
	}
	return plain
}

// A kind of product says its floating-point operations and is run.
type kind func(n, threads int) (flops float64, run func(ctx context.Context) error)

// gemm is C = A B.
func (o operands[M]) gemm(n, threads int) (flops float64, run func(ctx context.Context) error) {
	a, b, c := o.view(0, n), o.view(1, n), o.view(2, n)
	return 2 * cube(n), func(ctx context.Context) error { return kernel.MulTo(ctx, threads, c, a, b, false) }
}

// sym is C = A A', of which one triangle is computed, n(n+1)/2 entries.
func (o operands[M]) sym(n, threads int) (flops float64, run func(ctx context.Context) error) {
	a, c := o.view(0, n), o.view(2, n)
	return cube(n) * (1 + 1/float64(n)), func(ctx context.Context) error { return kernel.MulSymTo(ctx, threads, c, a, a) }
}

func cube(n int) float64 { return float64(n) * float64(n) * float64(n) }

func (o operands[M]) task(name string, n, threads int, k kind, remark func(t *task) string) *task {
	t := o.s.work(k(o.s.size(n, 16), threads))
	o.s.result(fmt.Sprintf("%s_%s_n%d_%dt", name, o.format, n, threads), gflops, func() (float64, string) { return t.rate(), remark(t) })
	return t
}

// rate adds a product and compares it with the peak.
func (o operands[M]) rate(name string, n, threads int, k kind) *task {
	return o.task(name, n, threads, k, func(t *task) string { return percent(t.rate()/o.peak.rate(), "the peak") })
}

// twice adds a product on two threads and compares it with that on one.
func (o operands[M]) twice(name string, one *task, k kind) {
	o.task(name, reference, 2, k, func(t *task) string { return times(t.rate()/one.rate(), "one thread") })
}

// gonum adds gonum's product. It starts as many threads as Go runs, whatever
// its caller would like, so Go runs one for its time.
func (s *suite) gonum(a, b, c blas64.General) {
	t := s.work(2*cube(a.Rows), func(context.Context) error {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		gonum.Implementation{}.Dgemm(blas.NoTrans, blas.NoTrans, a.Rows, b.Cols, a.Cols, 1, a.Data, a.Stride, b.Data, b.Stride, 0, c.Data, c.Stride)
		return nil
	})
	s.result("gonum_f64_n1024_1t", gflops, func() (float64, string) {
		return t.rate(), fmt.Sprintf("with GOMAXPROCS=1; gemm_f64_n1024_1t is %s", times(s.gemm.rate()/t.rate(), "as fast"))
	})
}

// view64 returns three buffers for matrices of up to n x n, of which two hold
// normal random numbers.
func view64(n int, rng *rand.Rand) func(i, n int) blas64.General {
	buffers := [3][]float64{normals(rng, n*n), normals(rng, n*n), make([]float64, n*n)}
	return func(i, n int) blas64.General { return square(n, buffers[i]) }
}

func view32(n int, rng *rand.Rand) func(i, n int) blas32.General {
	var buffers [3][]float32
	for i := range buffers {
		buffers[i] = make([]float32, n*n)
		for k := range buffers[i] {
			buffers[i][k] = float32(rng.NormFloat64())
		}
	}
	return func(i, n int) blas32.General {
		return blas32.General{Rows: n, Cols: n, Stride: n, Data: buffers[i][:n*n]}
	}
}

// square returns the n x n matrix at the beginning of data.
func square(n int, data []float64) blas64.General {
	return blas64.General{Rows: n, Cols: n, Stride: n, Data: data[:n*n]}
}

func normals(rng *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	return x
}
