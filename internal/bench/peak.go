package bench

import (
	"context"
	"math"
	"sync"
	"sync/atomic"

	"github.com/covprop/covprop/internal/cpu"
)

// A peakLoop makes fused multiply-adds in registers, as many a turn as it
// likes, and returns how many single ones they are in all. Two floating-point
// operations each, they are the most a thread can do.
type peakLoop func(turns int) (fmas int)

// peakTurns are the turns of a measurement: some 100 microseconds.
const peakTurns = 1 << 14

// peaks adds the rates of the loops.
func (s *suite) peaks() {
	how := func(*task) string { return peakLoops[cpu.Current()] }
	s.peak64 = s.peak("fma_peak_f64_1t", 1, peak64, how)
	s.peak("fma_peak_f64_2t", 2, peak64, func(t *task) string { return times(t.rate()/s.peak64.rate(), "one thread") })
	s.peak32 = s.peak("fma_peak_f32_1t", 1, peak32, how)
}

// peak adds the rate of a loop on a number of threads.
func (s *suite) peak(name string, threads int, loop peakLoop, remark func(t *task) string) *task {
	fmas := 0
	t := s.time(func(context.Context) error {
		if threads == 1 {
			fmas = loop(peakTurns)
			return nil
		}
		var wg sync.WaitGroup
		var sum atomic.Int64
		for range threads {
			// Long enough that starting a goroutine is nothing beside it.
			wg.Go(func() { sum.Add(int64(loop(64 * peakTurns))) })
		}
		wg.Wait()
		fmas = int(sum.Load())
		return nil
	})
	t.flops = func() float64 { return 2 * float64(fmas) }
	s.result(name, gflops, func() (float64, string) { return t.rate(), remark(t) })
	return t
}

// peakLoops says what the loops are.
var peakLoops = map[cpu.ISA]string{
	cpu.AVX512:  "512-bit fused multiply-adds in registers",
	cpu.AVX2:    "256-bit fused multiply-adds in registers",
	cpu.Generic: "scalar multiply-adds in Go; the products are gonum's, which may use vectors",
}

// sink keeps the results of loops in Go from being dropped.
var sink atomic.Uint64

// peak64Generic and peak32Generic are the loops in Go: eight chains, s = s/2 + 1.
// Go has fused multiply-adds for float64 only; in float32 the compiler fuses
// where the processor surely can, as on arm64.
func peak64Generic(turns int) (fmas int) {
	const x, y = .5, 1.
	a, b, c, d, e, f, g, h := 1., 1., 1., 1., 1., 1., 1., 1.
	for range turns {
		a, b, c, d = math.FMA(a, x, y), math.FMA(b, x, y), math.FMA(c, x, y), math.FMA(d, x, y)
		e, f, g, h = math.FMA(e, x, y), math.FMA(f, x, y), math.FMA(g, x, y), math.FMA(h, x, y)
	}
	sink.Store(math.Float64bits(a + b + c + d + e + f + g + h))
	return 8 * turns
}

func peak32Generic(turns int) (fmas int) {
	const x, y = .5, 1
	a, b, c, d, e, f, g, h := float32(1), float32(1), float32(1), float32(1), float32(1), float32(1), float32(1), float32(1)
	for range turns {
		a, b, c, d = a*x+y, b*x+y, c*x+y, d*x+y
		e, f, g, h = e*x+y, f*x+y, g*x+y, h*x+y
	}
	sink.Store(uint64(math.Float32bits(a + b + c + d + e + f + g + h)))
	return 8 * turns
}
