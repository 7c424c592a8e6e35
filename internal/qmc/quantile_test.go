package qmc

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// The reference has 20 digits and covers every binade of u, both seams and the
// last points before 0 and 1/2.
func TestQuantiles(t *testing.T) {
	worst := 0.0
	readCSV(t, "quantiles.csv", func(fields []string) {
		k, want := parse(t, fields[0]), parse(t, fields[1])
		u := (k + 0.5) * 0x1p-52
		got := []float64{u, 1 - u}
		quantiles(got)
		worst = max(worst, math.Abs(got[0]-want)/math.Abs(want))
		if got[1] != -got[0] {
			t.Errorf("quantiles of %v and its complement are %v and %v", u, got[0], got[1])
		}
	})
	if worst > 1e-15 { // as stated
		t.Errorf("the relative error reaches %.2g", worst)
	}
	// Each number is on its own, wherever it stands and whatever its neighbours.
	row := make([]float64, 1000)
	for i := range row {
		row[i] = (float64(i) + 0.5) / 1024
	}
	want := make([]float64, len(row))
	for i, u := range row {
		one := []float64{u}
		quantiles(one)
		want[i] = one[0]
	}
	quantiles(row)
	for i := range row {
		if row[i] != want[i] {
			t.Errorf("number %d is %v in a row, %v alone", i, row[i], want[i])
		}
	}
	for name, u := range map[string]float64{"all tails": 0.01, "no tails": 0.4} {
		for i := range row {
			row[i] = u
		}
		quantiles(row)
		for i, z := range row {
			if z != row[0] {
				t.Fatalf("%s: number %d is %v, number 0 %v", name, i, z, row[0])
			}
		}
	}
}

// The moments of the normal points, each within five of its standard errors;
// those of quasi-random points are far smaller.
func TestNormalMoments(t *testing.T) {
	const dim, n = 6, 1 << 14
	for _, kind := range kinds {
		z := newGeneral(dim, n)
		newPoints(t, kind, dim, 1, 0).NormalTo(z, 0)
		for k := range dim {
			var m [7]float64 // sums of powers
			for _, x := range row(z, k) {
				if math.IsNaN(x) || math.Abs(x) > 8.21 {
					t.Fatalf("%v: a point is %v", kind, x)
				}
				p := x
				for i := 1; i < len(m); i++ {
					m[i] += p / n
					p *= x
				}
			}
			// E x^p and E x^2p - (E x^p)^2.
			for p, c := range map[int][2]float64{1: {0, 1}, 2: {1, 2}, 3: {0, 15}, 4: {3, 96}} {
				if d := math.Abs(m[p]-c[0]) / math.Sqrt(c[1]/n); d > 5 || kind != Random && p <= 2 && d > 0.5 {
					t.Errorf("%v: moment %d of dimension %d is %v, %.2f standard errors off", kind, p, k, m[p], d)
				}
			}
		}
	}
}

// BenchmarkNormal shows nanoseconds a number, for rows of the usual length.
func BenchmarkNormal(b *testing.B) {
	for _, kind := range kinds {
		for _, dim := range []int{5, 250} {
			b.Run(fmt.Sprintf("%v/dim=%d", kind, dim), func(b *testing.B) {
				p := newPoints(b, kind, dim, 1, 0)
				z := newGeneral(dim, 256)
				best := math.Inf(1)
				for i := range b.N {
					start := time.Now()
					p.NormalTo(z, i*256)
					best = min(best, float64(time.Since(start)))
				}
				b.ReportMetric(best/float64(len(z.Data)), "ns/number")
			})
		}
	}
}
