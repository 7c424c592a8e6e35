package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
)

// tapsCase is a random call of TapsTo, with guards round its slices.
type tapsCase struct {
	y, x, w     Lanes
	at          []int
	depth, rows int
}

const tapsGuard = 5 // odd, so that the slices are not aligned

func newTapsCase(rng *rand.Rand, depth, taps, rows, lanes int) tapsCase {
	c := tapsCase{depth: depth, rows: rows}
	positions := 1 + rng.IntN(4)
	fill := func(rows, cols int) Lanes {
		stride := cols + rng.IntN(3)
		n := (rows-1)*stride + cols
		s := make([]float64, n+2*tapsGuard)
		for i := range s {
			s[i] = math.NaN()
			if k := i - tapsGuard; k >= 0 && k < n && k%stride < cols {
				s[i] = rng.NormFloat64()
			}
		}
		return Lanes{s[tapsGuard:][:n], stride}
	}
	full := ceil(lanes, LaneStep) * LaneStep
	c.x, c.w, c.y = fill(positions*depth, full), fill(taps*depth, rows), fill(rows, full)
	for range taps {
		c.at = append(c.at, rng.IntN(positions+1)-1)
	}
	return c
}

// entry returns output (r, l) by one chain of fused multiply-adds in the order
// of the definition, which has the same bits as the assembly, and the sum of
// the magnitudes of the terms.
func (c tapsCase) entry(r, l int) (sum, size float64) {
	for t, q := range c.at {
		for d := range c.depth {
			if q >= 0 {
				v, x := c.w.Data[(t*c.depth+d)*c.w.Stride+r], c.x.Data[(q*c.depth+d)*c.x.Stride+l]
				sum = math.FMA(v, x, sum)
				size += math.Abs(v * x)
			}
		}
	}
	return sum, size
}

// check runs TapsTo. The plain loop rounds each of its products and sums, the
// reference each sum: together at most two units of the sum of the magnitudes
// for each term.
func (c tapsCase) check(t *testing.T, isa cpu.ISA, lanes int) {
	t.Helper()
	TapsTo(c.y, c.x, c.w, c.at, c.depth, c.rows, lanes)
	for r := range c.rows {
		for l := range lanes {
			want, size := c.entry(r, l)
			got := c.y.Data[r*c.y.Stride+l]
			allowed := 0.
			if isa == cpu.Generic {
				allowed = 2 * float64(len(c.at)*c.depth) * 0x1p-53 * size
			}
			if !(math.Abs(got-want) <= allowed) && math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%v, depth %d, %d taps, %d rows, lane %d of %d, row %d: %v, want %v",
					isa, c.depth, len(c.at), c.rows, l, lanes, r, got, want)
			}
		}
	}
	full, n := ceil(lanes, LaneStep)*LaneStep, len(c.y.Data)
	for i, v := range c.y.Data[:n+tapsGuard] {
		if (i >= n || i%c.y.Stride >= full) && !math.IsNaN(v) {
			t.Fatalf("%v: %v was written to the guard at %d", isa, v, i)
		}
	}
}

func TestTaps(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		isa := cpu.Current()
		rng := rand.New(rand.NewPCG(1, 2))
		for rows := 1; rows <= 2*TapRows+1; rows++ {
			for _, depth := range []int{1, 2, 7, 31} {
				for _, taps := range []int{1, 2, 9} {
					lanes := []int{1, 8, 13, 16, 17, 31, 32, 48, 50}[rng.IntN(9)]
					c := newTapsCase(rng, depth, taps, rows, lanes)
					c.check(t, isa, lanes)
				}
			}
		}
	})
}

// TestTapsSpecial: NaN, infinities and denormals go the way of the sums, and
// what lies in the padding or in other lanes has no part in them.
func TestTapsSpecial(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		isa := cpu.Current()
		rng := rand.New(rand.NewPCG(3, 4))
		for rows := 1; rows <= TapRows; rows++ {
			const lanes = 48
			c := newTapsCase(rng, 3, 5, rows, lanes)
			for i := range c.x.Data {
				c.x.Data[i] = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0x1p-1074, 3e-310, math.Copysign(0, -1), 1, 2}[rng.IntN(8)]
			}
			for i := range c.w.Data {
				c.w.Data[i] = float64(rng.IntN(5) - 2)
			}
			c.check(t, isa, lanes)
			for i := range c.at {
				c.at[i] = -1
			}
			c.check(t, isa, lanes)
		}
	})
}

// TestTapsShape: a tap beyond the end of x panics, and reads nothing.
func TestTapsShape(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		c := newTapsCase(rand.New(rand.NewPCG(5, 6)), 3, 2, 4, 20)
		c.at = []int{-1, len(c.x.Data)/(c.depth*c.x.Stride) + 1}
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		TapsTo(c.y, c.x, c.w, c.at, c.depth, c.rows, 20)
	})
}

// TestTransposeTo compares with the definition, guards included.
func TestTransposeTo(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		isa := cpu.Current()
		for rows := range 35 {
			for _, cols := range []int{0, 1, 3, 8, 17, 32} {
				src, dst := make([]float64, rows*(cols+3)+1), make([]float64, cols*(rows+2)+1)
				for i := range src {
					src[i] = float64(i + 1)
				}
				TransposeTo(Lanes{dst[1:], rows + 2}, Lanes{src[1:], cols + 3}, rows, cols)
				for k, v := range dst {
					want, j, i := 0., (k-1)/(rows+2), (k-1)%(rows+2)
					if k > 0 && i < rows && j < cols {
						want = src[1+i*(cols+3)+j]
					}
					if v != want {
						t.Fatalf("%v, %d x %d: entry (%d,%d) is %v, want %v", isa, rows, cols, j, i, v, want)
					}
				}
			}
		}
	})
}

// TestConvert: conversions are those of Go, to the bit, NaN apart.
func TestConvert(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		isa := cpu.Current()
		rng := rand.New(rand.NewPCG(5, 6))
		special := []float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 1e-42, 1e-50, math.MaxFloat32, 1e300, 1 + 0x1p-24, 1 + 3*0x1p-24}
		for n := range 40 {
			src, narrow, wide := make([]float64, n), make([]float32, n+1), make([]float64, n+1)
			for i := range src {
				if src[i] = rng.NormFloat64(); rng.IntN(2) == 0 {
					src[i] = special[rng.IntN(len(special))]
				}
			}
			narrow[n], wide[n] = 7, 7
			Narrow(narrow, src)
			Widen(wide, narrow[:n])
			for i, v := range src {
				if math.IsNaN(v) && math.IsNaN(float64(narrow[i])) && math.IsNaN(wide[i]) {
					continue
				}
				if math.Float32bits(narrow[i]) != math.Float32bits(float32(v)) || math.Float64bits(wide[i]) != math.Float64bits(float64(float32(v))) {
					t.Fatalf("%v, %d of %d: %v became %v and %v", isa, i, n, v, narrow[i], wide[i])
				}
			}
			if narrow[n] != 7 || wide[n] != 7 {
				t.Fatalf("%v, %d: written after the end", isa, n)
			}
		}
	})
}

// BenchmarkTaps is a position of a convolution of 3 x 3 in the cache, for
// numbers of rows that the tiles fill well and badly.
func BenchmarkTaps(b *testing.B) {
	for isa := cpu.AVX2; isa <= cpu.Best(); isa++ {
		for _, rows := range []int{1, 2, 3, 5, 6, 8, 10, 14, 64} {
			b.Run(fmt.Sprintf("%v/rows=%d", isa, rows), func(b *testing.B) {
				defer cpu.Force(isa)()
				const depth, taps, lanes = 10, 9, 32
				lanesOf := func(rows, n int) Lanes { return Lanes{make([]float64, rows*n), n} }
				y, x, w := lanesOf(rows, lanes), lanesOf(taps*depth, lanes), lanesOf(taps*depth, rows)
				at := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
				for b.Loop() {
					TapsTo(y, x, w, at, depth, rows, lanes)
				}
				b.ReportMetric(2*depth*taps*lanes*float64(rows)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
