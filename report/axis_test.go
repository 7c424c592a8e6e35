package report

import (
	"math"
	"strconv"
	"testing"

	"gonum.org/v1/plot"
)

func parse(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// labels are the labelled ticks.
func labels(ticks []plot.Tick) (s []string, values []float64) {
	for _, t := range ticks {
		if t.Label != "" {
			s, values = append(s, t.Label), append(values, t.Value)
		}
	}
	return s, values
}

// TestTicks: every label reads as its value, no two are the same, and there are
// at least two and not too many.
func TestTicks(t *testing.T) {
	for _, r := range [][2]float64{
		{0, 1},
		{-3, 17},
		{1.001, 1.002},
		{-1e-7, 2e-7},
		{0, 1e299},
		{-2e299, 1e299},
		{12345678, 12345679},
		{0, 1e-300},
		{.98, 1.03},
		{1e5, 3e5},
	} {
		s, values := labels(linearTicks(r[0], r[1], 7))
		checkTicks(t, r, s, values, 9)
	}
	for _, r := range [][2]float64{
		{1, 10}, {.9, 1.1}, {3, 4}, {1e-9, 1e3}, {1e-300, 1e299}, {5e-324, 1}, {.02, .7}, {7e-5, 1e-3}, {1, 1e6},
	} {
		s, values := labels(logTicks(r[0], r[1], 7))
		checkTicks(t, r, s, values, 9)
	}
}

func checkTicks(t *testing.T, r [2]float64, s []string, values []float64, most int) {
	t.Helper()
	if len(s) < 2 || len(s) > most {
		t.Errorf("%v has the labels %q: fewer than 2 or more than %d", r, s, most)
	}
	seen := map[string]bool{}
	for i, label := range s {
		// A label is rounded to where the ticks differ, far finer than 1% of
		// the range.
		if x := parse(t, label); math.Abs(x/2-values[i]/2) > 0.005*(r[1]/2-r[0]/2) && math.Abs(x-values[i]) > 1e-9*math.Abs(x) {
			t.Errorf("%v: the label %s stands at %g", r, label, values[i])
		}
		if seen[label] {
			t.Errorf("%v: the label %s stands twice: %q", r, label, s)
		}
		seen[label] = true
		if values[i] < r[0] || values[i] > r[1] {
			t.Errorf("%v: a tick at %g", r, values[i])
		}
	}
}
