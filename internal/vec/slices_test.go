package vec

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/covprop/covprop/internal/cpu"
)

// TestSpecial checks the values that are known exactly.
func TestSpecial(t *testing.T) {
	inf, nan, negativeZero := math.Inf(1), math.NaN(), math.Copysign(0, -1)
	phi0 := 1 / math.Sqrt(2*math.Pi)
	x := []float64{0, negativeZero, inf, -inf, nan, 1e3, -1e3, math.MaxFloat64, -math.MaxFloat64, 5e-324}
	want := map[string][]float64{
		"exp":     {1, 1, inf, 0, nan, inf, 0, inf, 0, 1},
		"erf":     {0, negativeZero, 1, -1, nan, 1, -1, 1, -1, 5e-324},
		"erfc":    {1, 1, 0, 2, nan, 0, 2, 0, 2, 1},
		"cdf":     {.5, .5, 1, 0, nan, 1, 0, 1, 0, .5},
		"density": {phi0, phi0, 0, 0, nan, 0, 0, 0, 0, phi0},
	}
	payload := math.Float64frombits(0xfff0_0000_0000_0fff) // a signalling NaN, all low bits set
	onEach(t, func(t *testing.T, f function) {
		got := make([]float64, len(x))
		f.to(got, x)
		for i, w := range want[f.name] {
			if math.Float64bits(got[i]) != math.Float64bits(w) && !(w != w && got[i] != got[i]) {
				t.Errorf("%v gives %v, want %v", x[i], got[i], w)
			}
		}
		for i := range got {
			got[i] = payload
		}
		f.to(got, got)
		for _, v := range got {
			if v == v {
				t.Errorf("NaN gives %v", v)
			}
		}
	})
}

// TestRange checks that rounding carries no value beyond the function's range.
func TestRange(t *testing.T) {
	top := map[string]float64{"exp": math.Inf(1), "erf": 1, "erfc": 2, "cdf": 1, "density": .3989422804014327}
	onEach(t, func(t *testing.T, f function) {
		x := sweep(f, 20000)
		got := make([]float64, len(x))
		f.to(got, x)
		for i, v := range got {
			if v > top[f.name] || v < 0 && f.name != "erf" || v < -1 || math.Signbit(v) != (f.name == "erf" && x[i] < 0) {
				t.Fatalf("%v gives %v", x[i], v)
			}
		}
	})
}

// TestSlices checks lengths around the kernels' widths at unaligned addresses:
// the neighbours stay as they are, a number's result depends neither on its
// place nor on the others, and dst may be x.
func TestSlices(t *testing.T) {
	const guard = -7.25
	onEach(t, func(t *testing.T, f function) {
		single := func(x float64) float64 {
			v := []float64{x}
			f.to(v, v)
			return v[0]
		}
		for n := range 42 {
			for offset := range 5 {
				x, dst := make([]float64, n+16), make([]float64, n+16)
				for i := range x {
					x[i], dst[i] = guard, guard
				}
				in, out := x[offset:offset+n], dst[8-offset:8-offset+n]
				for i := range in {
					in[i] = f.low + (f.high-f.low)*float64(i+1)/float64(n+1)
				}
				f.to(out, in)
				for i, v := range out {
					if v != single(in[i]) {
						t.Fatalf("n = %d: element %d is %v, alone %v", n, i, v, single(in[i]))
					}
				}
				f.to(in, in)
				for i := range in {
					if in[i] != out[i] {
						t.Fatalf("n = %d: in place element %d is %v, not %v", n, i, in[i], out[i])
					}
					in[i], out[i] = guard, guard
				}
				for i := range x {
					if x[i] != guard || dst[i] != guard {
						t.Fatalf("n = %d: wrote outside", n)
					}
				}
			}
		}
	})
}

func TestLengths(t *testing.T) {
	onEach(t, func(t *testing.T, f function) {
		defer func() {
			if r := recover(); r != lengths {
				t.Errorf("recovered %v", r)
			}
		}()
		f.to(make([]float64, 3), make([]float64, 4))
	})
}

func TestAllocations(t *testing.T) {
	x := make([]float64, 101)
	onEach(t, func(t *testing.T, f function) {
		if n := testing.AllocsPerRun(10, func() { f.to(x, x) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// Benchmark reports nanoseconds an element, and how many times faster that is
// than the generic functions, package math and what is built on it, measured
// in turns.
func Benchmark(b *testing.B) {
	const n, repeat = 2000, 8
	for _, f := range functions {
		for isa := cpu.AVX2; isa <= cpu.Best(); isa++ {
			b.Run(fmt.Sprintf("%s/%v/n=%d", f.name, isa, n), func(b *testing.B) {
				x, dst := make([]float64, n), make([]float64, n)
				for i := range x { // in no order, so that branches do not learn it
					x[i] = 4*math.Mod(float64(i)*math.Phi, 1) - 2
				}
				var spent [2]time.Duration
				for b.Loop() {
					for i, set := range []cpu.ISA{cpu.Generic, isa} {
						restore := cpu.Force(set)
						start := time.Now()
						for range 1 + i*(repeat-1) {
							f.to(dst, x)
						}
						spent[i] += time.Since(start)
						restore()
					}
				}
				ns := float64(spent[1].Nanoseconds()) / repeat
				b.ReportMetric(ns/float64(b.N)/n, "ns/element")
				b.ReportMetric(float64(spent[0].Nanoseconds())/ns, "generic/this")
			})
		}
	}
}
