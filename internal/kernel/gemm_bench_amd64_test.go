//go:build amd64 && !noasm

package kernel

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"

	"github.com/covprop/covprop/internal/cpu"
)

// The benchmarks report GFLOP/s, counting 2 m n k for every product, the
// symmetric one too. Each run of a product is followed by others of the same
// length to compare it with, so that both meet the same clock and the same
// neighbours.

// BenchmarkMul compares the plain product on one thread with the limit of the
// machine ("of-peak": a tile whose operands stay in the first-level cache,
// which fused multiply-adds alone hold up), with gonum's, and with itself on
// two threads.
func BenchmarkMul(b *testing.B) {
	for isa := cpu.AVX2; isa <= cpu.Best(); isa++ {
		for _, n := range []int{128, 256, 512, 1024, 2048} {
			b.Run(fmt.Sprintf("%v/float64/n=%d", isa, n), func(b *testing.B) { benchmarkMul[float64](b, isa, n) })
			b.Run(fmt.Sprintf("%v/float32/n=%d", isa, n), func(b *testing.B) { benchmarkMul[float32](b, isa, n) })
		}
	}
}

func benchmarkMul[T float](b *testing.B, isa cpu.ISA, n int) {
	defer cpu.Force(isa)()
	next := normals[T](rand.New(rand.NewPCG(1, 1)))
	x, y, z := square(n, next), square(n, next), square(n, next)
	run := func(threads int) func() {
		p := product[T]{dst: z, a: x, b: y}
		return func() { _ = p.checked(context.Background(), threads) }
	}
	h, w := tileSize[T](isa)
	const depth = 1 << 12
	peak := watch{f: func() {
		for range 50 {
			tileTo(isa, operand[T]{z.at(0, 0), n}, operand[T]{x.at(0, 0), 0}, operand[T]{y.at(0, 0), 0}, h, depth, w, false)
		}
	}}
	rows := min(n, 128) // of gonum's product, which takes a while
	one, two, other := watch{f: run(1)}, watch{f: run(2)}, watch{f: func() {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // gonum's threads
		gonum(z.part(0, rows, 0, n), x.part(0, rows, 0, n), y, blas.NoTrans, false)
	}}
	for b.Loop() {
		peak.run()
		one.run()
		two.run()
		other.run()
	}
	flops := 2 * float64(n) * float64(n) * float64(n)
	b.ReportMetric(flops/one.best.Seconds()/1e9, "GFLOP/s")
	b.ReportMetric(one.rate()*flops/(peak.rate()*50*2*depth*float64(h*w)), "of-peak")
	b.ReportMetric(two.rate()/one.rate(), "x-1thread")
	b.ReportMetric(one.rate()/other.rate()*float64(n)/float64(rows), "x-gonum")
}

// BenchmarkMulSym compares the symmetric product with the full one.
func BenchmarkMulSym(b *testing.B) {
	for isa := cpu.AVX2; isa <= cpu.Best(); isa++ {
		for _, n := range []int{50, 100, 128, 512, 1024} {
			b.Run(fmt.Sprintf("%v/n=%d", isa, n), func(b *testing.B) {
				defer cpu.Force(isa)()
				next := normals[float64](rand.New(rand.NewPCG(1, 1)))
				x, y, z := square(n, next), square(n, next), square(n, next)
				p := product[float64]{dst: z, a: x, b: y, shape: shape{trans: true}}
				full := watch{f: func() { _ = p.checked(context.Background(), 1) }}
				q := p
				q.lower = true
				half := watch{f: func() { _ = q.checked(context.Background(), 1) }}
				for b.Loop() {
					full.run()
					half.run()
				}
				b.ReportMetric(2*float64(n)*float64(n)*float64(n)/half.best.Seconds()/1e9, "GFLOP/s")
				b.ReportMetric(half.rate()/full.rate(), "x-full")
			})
		}
	}
}

// A watch keeps the shortest time of a function.
type watch struct {
	f    func()
	best time.Duration
}

func (w *watch) run() {
	start := time.Now()
	w.f()
	if d := time.Since(start); w.best == 0 || d < w.best {
		w.best = d
	}
}

func (w *watch) rate() float64 { return 1 / w.best.Seconds() }

func square[T float](n int, next func() T) matrix[T] {
	m := matrix[T]{n, n, n, make([]T, n*n)}
	for i := range m.data {
		m.data[i] = next()
	}
	return m
}
