package kernel

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/covprop/covprop/internal/cpu"
)

// everyISA runs f on all instruction sets of the machine.
func everyISA(t *testing.T, f func(t *testing.T)) {
	for isa := cpu.Generic; isa <= cpu.Best(); isa++ {
		t.Run(isa.String(), func(t *testing.T) {
			defer cpu.Force(isa)()
			f(t)
		})
	}
}

// unitCounts are less, equal and more than the vectors and groups of vectors.
var unitCounts = []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47}

// guarded returns n numbers, not aligned to vectors, with guard values round
// them, and a function that reports whether those are still there.
func guarded(n int) (x []float64, intact func() bool) {
	const guard = 9
	buf := make([]float64, n+2*guard)
	for i := range buf {
		buf[i] = -12345
	}
	x = buf[guard : guard+n : guard+n]
	clear(x)
	return x, func() bool {
		for i, v := range buf {
			if (i < guard || i >= guard+n) && v != -12345 {
				return false
			}
		}
		return true
	}
}

// hermiteRatios returns h_k/h_m for k = m .. m+rows-1, which is
// He_{k-m}(alpha) sqrt(m!/k!), from the integer recurrence in 300 bits.
func hermiteRatios(alpha float64, m, rows int) []float64 {
	num := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	x, prev, p := num(alpha), num(0), num(1)
	norm := num(1) // k!/m!
	r := make([]float64, rows)
	for i := range r {
		q := num(0).Quo(p, num(0).Sqrt(norm))
		r[i], _ = q.Float64()
		next := num(0).Mul(x, p)
		next.Sub(next, prev.Mul(prev, num(float64(i))))
		prev, p = p, next
		norm.Mul(norm, num(float64(m+i+1)))
	}
	return r
}

// TestHermiteTo compares with the Hermite polynomials. Each of k steps rounds
// by some 2e-16 of the larger of the values it joins, and neighbours differ by
// a factor of sqrt(k) at most where the recurrence oscillates.
func TestHermiteTo(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, n := range unitCounts {
			for _, m := range []int{1, 2} {
				for _, rows := range []int{0, 1, 2, 3, MaxOrder - 1, MaxOrder} {
					testHermite(t, rng, n, m, rows)
				}
			}
		}
	})
}

func testHermite(t *testing.T, rng *rand.Rand, n, m, rows int) {
	stride := n + rng.IntN(3)
	h, intact := guarded(max(0, (rows-1)*stride+n))
	start, alpha := make([]float64, n), make([]float64, n)
	for i := range n {
		start[i], alpha[i] = rng.NormFloat64(), 4*rng.NormFloat64()
	}
	HermiteTo(h, stride, rows, start, alpha, m, false)
	plain := append([]float64{}, h...)
	HermiteTo(h, stride, rows, start, alpha, m, true)
	if !intact() {
		t.Errorf("n %d, m %d, %d rows: wrote beyond its part", n, m, rows)
	}
	for i := range n {
		want := hermiteRatios(alpha[i], m, rows)
		scale := 0.
		for k := range rows {
			scale = max(math.Abs(want[k]), scale*.8)
			got := plain[k*stride+i]
			if d := math.Abs(got - start[i]*want[k]); d > 1e-15*float64(k+1)*scale*math.Abs(start[i]) {
				t.Errorf("n %d, m %d, unit %d, alpha %v, row %d: %v, want %v", n, m, i, alpha[i], k, got, start[i]*want[k])
			}
			if h[k*stride+i] != got+got {
				t.Errorf("n %d, m %d, unit %d, row %d: adding %v gave %v", n, m, i, k, got, h[k*stride+i])
			}
		}
	}
	for k := range rows - 1 {
		for i := n; i < stride; i++ {
			if h[k*stride+i] != 0 {
				t.Errorf("n %d, row %d: wrote between the rows", n, k)
			}
		}
	}
}

// TestHermiteSpecial: NaN and Inf stay in their unit, and what starts as a
// denormal number is followed until it counts: below 2^-511 it is written as 0.
func TestHermiteSpecial(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	everyISA(t, func(t *testing.T) {
		start := []float64{1, nan, 1, 1, 1e-310, 1, 0, 1, 1, 1, nan}
		alpha := []float64{1, 1, nan, inf, 1e20, 1, 1, 1, 1, 1, 1}
		n := len(start)
		h := make([]float64, 10*n)
		HermiteTo(h, n, 10, start, alpha, 2, false)
		ratios := hermiteRatios(1e20, 2, 10)
		for i := range n {
			for k, r := range ratios {
				if x, counts := h[k*n+4], r*1e-310 > 0x1p-511; counts != (x != 0) {
					t.Errorf("row %d is %v, for %v", k, x, r*1e-310)
				}
			}
			want := ratios[9] * 1e-310
			switch x := h[9*n+i]; {
			case i == 1 || i == 2 || i == 3 || i == n-1:
				if !math.IsNaN(x) && !math.IsInf(x, 0) {
					t.Errorf("unit %d: %v", i, x)
				}
			case i == 4:
				// The first values are denormal, to 1e-324 of 1e-310.
				if math.Abs(x/want-1) > 1e-12 {
					t.Errorf("denormal: %v, want %v", x, want)
				}
			case i == 6 && x != 0, i != 6 && x != h[9*n]:
				t.Errorf("unit %d: %v", i, x)
			}
		}
	})
}

// TestTailsTo compares with sums from the definition, from the highest order
// down. There are 65 terms, all positive.
func TestTailsTo(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, n := range unitCounts {
			for _, k := range []int{1, 2, 5, 24, MaxOrder, MaxOrder + 13} {
				testTails(t, rng, n, k)
			}
		}
	})
}

func testTails(t *testing.T, rng *rand.Rand, n, orders int) {
	lo := rng.IntN(4)
	all := lo + n + rng.IntN(4)
	h, _ := guarded(orders * all)
	tail, intact := guarded(len(Orders) * all)
	u := &Units{N: all, K: orders, H: h, Tail: tail}
	noise := make([]float64, n)
	sum, sumIntact := guarded(n)
	for i := range n {
		if i%3 != 0 {
			noise[i] = 1e-14
		}
		for k := range orders {
			h[k*all+lo+i] = rng.NormFloat64() * math.Pow(.6+.4*rng.Float64(), float64(k))
			if i%4 > 0 {
				h[k*all+lo+i] /= 4 // the sum of squares is below 1
			}
		}
	}
	TailsTo(u, lo, lo+n, noise, sum)
	if !intact() || !sumIntact() {
		t.Errorf("%d units, order %d: wrote beyond its part", n, orders)
	}
	for o, order := range Orders {
		for j := range all {
			got := tail[o*all+j]
			if i := j - lo; i < 0 || i >= n {
				if got != 0 {
					t.Errorf("%d units: wrote to unit %d", n, j)
				}
				continue
			}
			total, beyond := 0., 0.
			for k := orders; k >= 1; k-- {
				x := h[(k-1)*all+j]
				total += x * x
				if k > order {
					beyond += x * x
				}
			}
			i := j - lo
			if math.Abs(sum[i]/total-1) > 1e-14 {
				t.Errorf("%d units, order %d: sum %v, want %v", n, orders, sum[i], total)
			}
			if noise[i] > 0 {
				beyond += max(0, 1-total) + noise[i]
			}
			// The difference has the sum's rounding, twice that after the root.
			if d := math.Abs(got*got - beyond); d > 1e-14*beyond+1e-14*total {
				t.Errorf("%d units, order %d: tail after %d is %v, want %v", n, orders, order, got, math.Sqrt(beyond))
			}
		}
	}
}

// TestTailsNaN: a coefficient that is NaN makes the sum and the tails NaN, so
// that it cannot pass for one that is small.
func TestTailsNaN(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		const n = 19
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			u := &Units{N: n, K: 3, H: make([]float64, 3*n), Tail: make([]float64, len(Orders)*n)}
			noise, sum := make([]float64, n), make([]float64, n)
			for i := range noise {
				noise[i] = 1e-14
			}
			for _, i := range []int{2, 18} {
				u.H[n+i] = bad
			}
			TailsTo(u, 0, n, noise, sum)
			for i := range n {
				finite := sum[i]-sum[i] == 0 && u.Tail[i]-u.Tail[i] == 0
				if finite == (i == 2 || i == 18) {
					t.Errorf("unit %d with %v: sum %v, tail %v", i, bad, sum[i], u.Tail[i])
				}
			}
		}
	})
}

// TestHalfLineTo compares with values from mpmath, exp(a^2/2) times repeated
// integrals of erfc in 60 digits. 2e-15: a dozen roundings, of which each of
// the three factors has four that count.
func TestHalfLineTo(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		for _, n := range unitCounts {
			a, phi := make([]float64, n), make([]float64, n)
			var j [3][]float64
			var intact [3]func() bool
			for m := range j {
				j[m], intact[m] = guarded(n)
			}
			for i := range a {
				a[i], phi[i] = halfLineValues[i%len(halfLineValues)][0], .25
			}
			HalfLineTo(j[0], j[1], j[2], a, phi)
			for m := range j {
				if !intact[m]() {
					t.Errorf("n %d: wrote beyond J_%d", n, m)
				}
				for i, got := range j[m] {
					want := .25 * halfLineValues[i%len(halfLineValues)][1+m]
					if math.Abs(got/want-1) > 2e-15 {
						t.Errorf("J_%d(%v)/phi = %v, want %v", m, a[i], 4*got, 4*want)
					}
				}
			}
		}
		for _, a := range []float64{math.Inf(1), 1e300, 40} {
			j := make([]float64, 6)
			HalfLineTo(j[0:1], j[1:2], j[2:3], []float64{a}, []float64{0})
			if fmt.Sprint(j) != "[0 0 0 0 0 0]" {
				t.Errorf("a = %v without density: %v", a, j)
			}
		}
		j := make([]float64, 3)
		HalfLineTo(j[0:1], j[1:2], j[2:3], []float64{math.NaN()}, []float64{1})
		if j[0] == j[0] || j[1] == j[1] || j[2] == j[2] {
			t.Errorf("NaN gave %v", j)
		}
	})
}

// halfLineValues are a and J_m(a)/phi(a), m = 0, 1, 2.
var halfLineValues = [...][4]float64{
	{0.0, 1.2533141373155002512, 1.0, 1.2533141373155002512},
	{0.125, 1.1374909212036045148, 0.85781363484954943565, 1.0302642168474108354},
	{0.5, 0.87636445645369234673, 0.56181777177315382664, 0.59545557056711543341},
	{1.0, 0.65567954241879847154, 0.34432045758120152846, 0.31135908483759694309},
	{1.25, 0.57843034604763107663, 0.27696206744046115421, 0.23222776174705463387},
	{1.75, 0.46430692803944216444, 0.18746287593097621223, 0.13624689516023379303},
	{2.5, 0.35426511132979366678, 0.11433722167551583304, 0.068422057141004084184},
	{4.0, 0.23665238291356067062, 0.053390468345757317504, 0.023090509530531400608},
	{6.0, 0.16237766089686746182, 0.025734034618795229106, 0.0079734531840960871802},
	{8.5, 0.11608206338598229034, 0.01330246121915053212, 0.0030111430232027673178},
	{13.0, 0.076475761016248502993, 0.0058151067887694610846, 0.00087937276224550889418},
	{20.0, 0.049875925981836783658, 0.0024814803632643268352, 0.00024631871655024695447},
	{29.0, 0.034441901929091245588, 0.0011848440563538779623, 0.000081424294828784681488},
	{37.0, 0.027007327965128336063, 0.00072886529025156565508, 0.000039312225820406825331},
	{38.5, 0.025956537944110659037, 0.00067328915173962707468, 0.000034905602135016661681},
	{0.01, 1.2433764712490347137, 0.98756623528750965286, 1.2335008088961596171},
}
