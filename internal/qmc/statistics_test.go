package qmc

import (
	"fmt"
	"math"
	"testing"
)

// Numbers here are exact for a fixed seed, so no test fails by chance; limits
// are given in standard errors of what a correct implementation would show.

// boxes fails unless every box of the grid with bins[k] intervals in dimension
// dims[k] has the same number of the first n points.
func boxes(t *testing.T, kind Kind, dims, bins []int, n, replicate int) {
	t.Helper()
	u := uniform(t, kind, dims[len(dims)-1]+1, n, 5, replicate)
	total := 1
	for _, b := range bins {
		total *= b
	}
	count := make([]int, total)
	for j := range n {
		box := 0
		for k, d := range dims {
			box = box*bins[k] + int(u.Data[d*u.Stride+j]*float64(bins[k]))
		}
		count[box]++
	}
	for box, c := range count {
		if c != n/total {
			t.Fatalf("%v, dimensions %v, grid %v, replicate %d: box %d has %d of %d points, want %d", kind, dims, bins, replicate, box, c, n, n/total)
		}
	}
}

// The first 2^m points of the first two dimensions of Sobol's sequence are a
// (0, m, 2)-net, those of the first three a (1, m, 3)-net (t is the sum of the
// degrees, less one each, of the polynomials x+1 and x^2+x+1; Niederreiter
// 1992), every single dimension a (0, m, 1)-net. Scrambling keeps that, as it
// does Halton's boxes.
func TestNets(t *testing.T) {
	for replicate := range 3 {
		for m := range 11 {
			for a := range m + 1 {
				boxes(t, Sobol, []int{0, 1}, []int{1 << a, 1 << (m - a)}, 1<<m, replicate)
				for b := range max(0, m-a) { // a + b <= m-1
					boxes(t, Sobol, []int{0, 1, 2}, []int{1 << a, 1 << b, 1 << (m - 1 - a - b)}, 1<<m, replicate)
				}
			}
		}
		for _, d := range []int{5, 100, MaxSobol - 1} {
			boxes(t, Sobol, []int{d}, []int{1024}, 1024, replicate)
		}
		boxes(t, Halton, []int{0, 1, 2}, []int{8, 9, 5}, 720, replicate)
		boxes(t, Halton, []int{0, 1}, []int{512, 3}, 1536, replicate) // beyond the shared table
		boxes(t, Halton, []int{1, 4}, []int{9, 121}, 2178, replicate)
		boxes(t, Halton, []int{MaxHalton - 1}, []int{1619}, 2*1619, replicate)
	}
}

// chiSquare returns how many standard deviations sum (count-mean)^2/mean is
// above its mean, the number of degrees of freedom.
func chiSquare(count []int) float64 {
	n := 0
	for _, c := range count {
		n += c
	}
	mean, sum, dof := float64(n)/float64(len(count)), 0.0, float64(len(count)-1)
	for _, c := range count {
		sum += (float64(c) - mean) * (float64(c) - mean) / mean
	}
	return (sum - dof) / math.Sqrt(2*dof)
}

// Over replicates every single point is uniform, in its first and in later
// digits, and so is every pair of its coordinates.
func TestPointsAreUniform(t *testing.T) {
	const replicates, dim = 4000, 4
	for _, kind := range kinds {
		for _, point := range []int{0, 1, 37} {
			u := newGeneral(dim, 1)
			leading, later, pairs := make([][]int, dim), make([][]int, dim), make([]int, 64)
			for k := range dim {
				leading[k], later[k] = make([]int, 30), make([]int, 30)
			}
			for r := range replicates {
				newPoints(t, kind, dim, 1, r).UniformTo(u, point)
				for k, x := range u.Data {
					leading[k][int(30*x)]++
					later[k][int(30*(1000*x-math.Floor(1000*x)))]++
				}
				pairs[8*int(8*u.Data[1])+int(8*u.Data[3])]++
			}
			for k := range dim {
				for _, c := range [][]int{leading[k], later[k], pairs} {
					// A chi-square with 29 degrees has a longer tail than the normal.
					if x := chiSquare(c); math.Abs(x) > 5 {
						t.Errorf("%v: point %d, dimension %d: chi-square is off by %.1f deviations: %v", kind, point, k, x, c)
					}
				}
			}
		}
	}
}

// Nested uniform scrambling: points that agree in exactly j digits do so
// afterwards, and the digits that follow are independent of each other. Point 0
// and point i of the first dimension agree in the trailing zeros of i's Gray
// code.
func TestPairsAreOwens(t *testing.T) {
	const replicates = 4000
	for i, agree := range map[int]int{1: 0, 3: 1, 7: 2, 4: 1, 64: 5, 127: 6, 5: 0} {
		next := make([]int, 64)
		for r := range replicates {
			p := newPoints(t, Sobol, 1, 9, r)
			u, v := newGeneral(1, 1), newGeneral(1, 1)
			p.UniformTo(u, 0)
			p.UniformTo(v, i)
			scale := math.Ldexp(1, agree)
			x, y := u.Data[0]*scale, v.Data[0]*scale
			if math.Floor(x) != math.Floor(y) {
				t.Fatalf("points 0 and %d differ in the first %d digits: %v, %v", i, agree, u.Data[0], v.Data[0])
			}
			x, y = 2*(x-math.Floor(x)), 2*(y-math.Floor(y))
			if math.Floor(x) == math.Floor(y) {
				t.Fatalf("points 0 and %d agree in more than %d digits", i, agree)
			}
			next[8*int(8*(x-math.Floor(x)))+int(8*(y-math.Floor(y)))]++
		}
		if x := chiSquare(next); math.Abs(x) > 5 {
			t.Errorf("points 0 and %d: chi-square is off by %.1f deviations: %v", i, x, next)
		}
	}
}

// errorsOf returns the errors of the integral of f over replicates.
func errorsOf(t *testing.T, kind Kind, dim, n, replicates int, integral float64, f func(u []float64) float64) []float64 {
	t.Helper()
	u, x, errs := newGeneral(dim, n), make([]float64, dim), make([]float64, replicates)
	for r := range errs {
		newPoints(t, kind, dim, 2, r).UniformTo(u, 0)
		for j := range n {
			for k := range x {
				x[k] = u.Data[k*u.Stride+j]
			}
			errs[r] += f(x) / float64(n)
		}
		errs[r] -= integral
	}
	return errs
}

func moments(x []float64) (mean, variance, kurtosis float64) {
	var m4 float64
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		d := (v - mean) * (v - mean)
		variance += d / float64(len(x)-1)
		m4 += d * d / float64(len(x))
	}
	return mean, variance, m4 / variance / variance
}

// With Owen's scrambling the mean of x over 2^m points in one dimension has
// the variance 2^-3m/12 of independent positions in 2^m intervals, and errors
// are nearly normal, as they would not be with linear scrambling.
func TestVarianceIsOwens(t *testing.T) {
	const n, replicates = 1024, 2000
	errs := errorsOf(t, Sobol, 1, n, replicates, 0.5, func(u []float64) float64 { return u[0] })
	mean, v, kurtosis := moments(errs)
	want := 1 / (12 * float64(n) * float64(n) * float64(n))
	if math.Abs(mean) > 5*math.Sqrt(want/replicates) {
		t.Errorf("the mean error is %.1f standard errors", mean/math.Sqrt(want/replicates))
	}
	// The relative standard error of a variance is sqrt((kurtosis-1)/replicates).
	if math.Abs(v/want-1) > 4*math.Sqrt(2.0/replicates) {
		t.Errorf("the variance is %.3f of Owen's", v/want)
	}
	if kurtosis < 2.5 || kurtosis > 4 { // 480 with linear scrambling
		t.Errorf("the kurtosis is %v, want about 3", kurtosis)
	}
}

// Known integrals in five dimensions: no bias, and the root mean square error
// over replicates a small fraction of random sampling's.
func TestConvergence(t *testing.T) {
	const dim, n, replicates = 5, 2048, 64
	product, ridge := 1.0, 0.0
	for range dim {
		product *= 2 * (math.Exp(0.5) - 1)
	}
	// E max(0, S-3) for S a sum of five uniform numbers: by symmetry that of
	// max(0, 2-S'), the integral of the Irwin-Hall distribution function up to
	// 2: (2^6 - 5)/6!.
	ridge = (64 - 5) / 720.0
	for name, c := range map[string]struct {
		integral float64
		f        func(u []float64) float64
		fraction map[Kind]float64 // of the error of random points
	}{
		"exponential": {product, func(u []float64) float64 {
			return math.Exp((u[0] + u[1] + u[2] + u[3] + u[4]) / 2)
		}, map[Kind]float64{Sobol: 0.01, Halton: 0.1}},
		"kink": {ridge, func(u []float64) float64 {
			return max(0, u[0]+u[1]+u[2]+u[3]+u[4]-3)
		}, map[Kind]float64{Sobol: 0.1, Halton: 0.2}},
	} {
		random := 0.0
		for _, kind := range kinds {
			mean, v, _ := moments(errorsOf(t, kind, dim, n, replicates, c.integral, c.f))
			if math.Abs(mean) > 5*math.Sqrt(v/replicates) {
				t.Errorf("%s, %v: the mean error is %.1f standard errors", name, kind, mean/math.Sqrt(v/replicates))
			}
			if kind == Random {
				random = v
			} else if v > random*c.fraction[kind]*c.fraction[kind] {
				t.Errorf("%s, %v: %.3f of the error of random points", name, kind, math.Sqrt(v/random))
			}
		}
	}
}

// Replicates, seeds and dimensions are uncorrelated: the sums over a few points
// of the products of centred coordinates average zero over replicates.
func TestIndependence(t *testing.T) {
	const replicates, n, dim = 500, 8, 20
	for _, kind := range kinds {
		products := map[string][]float64{}
		for r := range replicates {
			a := uniform(t, kind, dim, n, 1, 2*r)
			b := uniform(t, kind, dim, n, 1, 2*r+1)
			c := uniform(t, kind, dim, n, 2, 2*r)
			add := func(name string, k int, x, y []float64) {
				sum := 0.0
				for j := range x {
					sum += (x[j] - 0.5) * (y[j] - 0.5)
				}
				name = fmt.Sprint(name, k)
				products[name] = append(products[name], sum)
			}
			for k := range dim - 1 {
				add("replicates, dimension ", k, row(a, k), row(b, k))
				add("seeds, dimension ", k, row(a, k), row(c, k))
				add("the last and dimension ", k, row(a, k), row(a, dim-1))
			}
		}
		for name, p := range products {
			mean, v, _ := moments(p)
			if z := mean / math.Sqrt(v/replicates); math.Abs(z) > 5 {
				t.Errorf("%v: %s: %.1f standard errors from uncorrelated", kind, name, z)
			}
		}
	}
}
