package kernel

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/cpu"
)

// TestCongruence compares with the two products, which other tests compare with
// plain sums: for all rests of tiles, matrices with gaps, elements
// without variance; nothing is written beside the result.
func TestCongruence(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(4, 4))
		for _, m := range []int{0, 1, 2, 7, 13, 14, 15, 17, 29, 50, 63, 64} {
			for _, n := range []int{0, 1, 5, 8, 15, 16, 17, 33, 50, 64} {
				c := frame(n, n, 1, rng.NormFloat64)
				certain := rng.IntN(2) * rng.IntN(n+1) // elements without variance
				for i := range n {
					for j := range i {
						*c.at(j, i) = *c.at(i, j)
					}
				}
				for _, k := range rng.Perm(n)[:certain] {
					for j := range n {
						*c.at(j, k), *c.at(k, j) = 0, 0
					}
				}
				a, dst := frame(m, n, 2, rng.NormFloat64), frame(m, m, 3, rng.NormFloat64)
				CongruenceTo(general64(dst.matrix), general64(a.matrix), general64(c.matrix))
				half, want := blas64.General{Rows: m, Cols: n, Stride: max(1, n), Data: make([]float64, m*n)}, blas64.General{Rows: m, Cols: m, Stride: max(1, m), Data: make([]float64, m*m)}
				ctx := context.Background()
				if err := MulTo(ctx, 1, half, general64(a.matrix), general64(c.matrix), false); err != nil {
					t.Fatal(err)
				}
				if err := MulLowerTo(ctx, 1, want, half, general64(a.matrix)); err != nil {
					t.Fatal(err)
				}
				for i := range m {
					for j := range i + 1 {
						// n^2 products of numbers of about 1; in assembly their
						// order is the same.
						limit := 1e-15 * float64(n*n)
						if cpu.Current() > cpu.Generic {
							limit = 0
						}
						if got, w := *dst.at(i, j), want.Data[i*m+j]; !(math.Abs(got-w) <= limit) {
							t.Fatalf("%d x %d: entry (%d,%d) is %v, want %v", m, n, i, j, got, w)
						}
					}
				}
				for k, v := range dst.buf {
					row, col := (k-dst.start)/dst.stride, (k-dst.start)%dst.stride
					if inside := k >= dst.start && k < dst.end && row < m && col < m; !inside && !math.IsNaN(v) {
						t.Fatalf("%d x %d: wrote beside the result", m, n)
					}
				}
			}
		}
	})
}

func BenchmarkCongruence(b *testing.B) {
	for _, n := range []int{48, 50, 64} {
		for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
			b.Run(fmt.Sprintf("n=%d/%v", n, isa), func(b *testing.B) {
				defer cpu.Force(isa)()
				square := func() blas64.General { return blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)} }
				dst, a, c := square(), square(), square()
				for i := range n {
					c.Data[i*n+i] = 1
				}
				for b.Loop() {
					CongruenceTo(dst, a, c)
				}
				b.ReportMetric(3*float64(n*n*n)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
