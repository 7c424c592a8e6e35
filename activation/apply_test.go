package activation

import (
	"math"
	"math/rand/v2"
	"testing"
)

// applied returns numbers of every size and both signs, among them the kinks
// of a and their neighbours, and those that need care.
func applied(a Activation, n int) []float64 {
	x := []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(math.NaN(), -1),
		5e-324, -5e-324, 1e-310, -1e-310, math.MaxFloat64, -math.MaxFloat64,
		0.625, -0.625, 709, 709.7, -709, -745, -746, 37, -37.5, -40, -40.5, 1, -1, 3, -3,
	}
	for _, k := range a.Kinks() {
		x = append(x, k, math.Nextafter(k, 9), math.Nextafter(k, -9))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for len(x) < n {
		x = append(x, math.Exp(12*rng.Float64()-6)*math.Copysign(1, rng.Float64()-.5))
	}
	return x
}

// TestApplyTo compares ApplyTo with Apply. An exponential has an error of at
// most 4 units in the last place, one of the normal distribution of 8 (package
// vec) and the scalar ones of package math about 1; a few operations follow,
// which pass on the error of the one that they are not sensitive to: 16 units in
// all. Below the smallest normal number the units are those of the denormals.
// The tails of Phi, and so those of GELU, are as steep as their argument is
// large: x Phi(x) has no more to pass on.
func TestApplyTo(t *testing.T) {
	const ulps, smallest = 16, 0x1p-1022
	acts := everyActivation()
	for name, a := range singularFamily() {
		acts[name] = a
	}
	for _, a := range []Activation{QuickGELU(-.7), QuickGELU(0), LeakyReLU(0), LeakyReLU(-2), HardSigmoid(0, .3), HardSigmoid(-1, .3), Clip(2, 1), Clip(math.Inf(-1), 3)} {
		acts[a.Name()] = a
	}
	everyISA(t, func(t *testing.T) {
		for name, a := range acts {
			x := applied(a, 3000)
			y := make([]float64, len(x))
			ApplyTo(a, y, x)
			for i, v := range x {
				want := a.Apply(v)
				if y[i] == want || math.IsNaN(y[i]) && math.IsNaN(want) {
					continue
				}
				if d := math.Abs(y[i] - want); !(d <= ulps*0x1p-52*max(math.Abs(want), smallest)) {
					t.Errorf("%s(%v) = %v, want %v", name, v, y[i], want)
				}
			}
		}
	})
}

// TestApplyToPlaces checks that a value depends neither on its place nor on
// what is beside it, in place too, and that nothing beyond the end is written.
func TestApplyToPlaces(t *testing.T) {
	for name, a := range everyActivation() {
		x := applied(a, 1030)[6:] // without NaN
		want := make([]float64, len(x))
		ApplyTo(a, want, x)
		for _, n := range []int{0, 1, 2, 3, 7, 8, 9, 31, 255, 256, 257, 513, 1000} {
			const guard = 17.5
			y := append(append([]float64{}, x[3:3+n]...), guard)
			ApplyTo(a, y[:n], y[:n])
			for i, v := range y[:n] {
				if v != want[3+i] && !(math.IsNaN(v) && math.IsNaN(want[3+i])) {
					t.Fatalf("%s, length %d: value %d is %v, want %v", name, n, i, v, want[3+i])
				}
			}
			if y[n] != guard {
				t.Fatalf("%s, length %d: written beyond the end", name, n)
			}
		}
	}
}

func TestApplyToLengths(t *testing.T) {
	defer func() {
		if recover() != badLengths {
			t.Error("no panic")
		}
	}()
	ApplyTo(Sin(), make([]float64, 2), make([]float64, 3))
}

// BenchmarkApplyTo reports how many times faster ApplyTo is than Apply number by
// number, both on numbers of random sign.
func BenchmarkApplyTo(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float64, 4096), make([]float64, 4096)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	for _, a := range []Activation{ReLU(), LeakyReLU(.1), HardSwish(), Clip(-1, 1), Sigmoid(), Tanh(), GELU(), GELUTanh(), SiLU(), Softplus(), Erf(), Exp()} {
		b.Run(a.Name(), func(b *testing.B) {
			for b.Loop() {
				ApplyTo(a, y, x)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(x)), "ns/value")
		})
	}
}
