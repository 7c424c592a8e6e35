package report

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// An axis gathers the range of the values along one side of a picture.
type axis struct {
	label  string
	log    bool
	lo, hi float64
}

func newAxis(label string, log bool) axis {
	return axis{label: label, log: log, lo: math.Inf(1), hi: math.Inf(-1)}
}

// limit is the largest magnitude that is drawn, so that differences are finite.
const limit = 1e300

// shows reports whether the axis has a place for x.
func (a *axis) shows(x float64) bool {
	return math.Abs(x) <= limit && (!a.log || x > 0) // false for NaN
}

// include widens the range to x, if the axis has a place for it.
func (a *axis) include(x float64) {
	if a.shows(x) {
		a.lo, a.hi = math.Min(a.lo, x), math.Max(a.hi, x)
	}
}

// fit makes the range one that can be drawn: not empty, not narrower than
// rounding, and with space at both ends.
func (a *axis) fit() {
	switch {
	case a.lo > a.hi && a.log: // there are no values
		a.lo, a.hi = 1, 10
	case a.lo > a.hi:
		a.lo, a.hi = 0, 1
	case a.log:
		lo, hi := math.Log10(a.lo), math.Log10(a.hi)
		space := math.Max(0.05*(hi-lo), 0.05)
		a.lo = math.Max(math.Pow(10, lo-space), math.SmallestNonzeroFloat64)
		a.hi = math.Min(math.Pow(10, hi+space), math.MaxFloat64)
	default:
		space := 0.05 * (a.hi - a.lo)
		if largest := math.Max(math.Abs(a.lo), math.Abs(a.hi)); space <= 1e-9*largest {
			space = math.Max(1e-3*largest, math.SmallestNonzeroFloat64*1e30)
		}
		a.lo, a.hi = a.lo-space, a.hi+space
	}
}

// apply gives a plot's axis the range, the scale and the ticks. The label is
// left to drawPlot: gonum/plot makes room for it at the middle of the values,
// which is not the middle of a logarithmic axis.
func (a *axis) apply(p *plot.Axis, maxTicks int) {
	p.Min, p.Max = a.lo, a.hi
	p.Tick.Label.Font = style(smallSize, black).Font
	p.Tick.Length = 4
	p.Padding = 0
	if a.log {
		p.Scale = logScale{}
		p.Tick.Marker = plot.ConstantTicks(logTicks(a.lo, a.hi, maxTicks))
		return
	}
	p.Tick.Marker = plot.ConstantTicks(linearTicks(a.lo, a.hi, maxTicks))
}

// logScale is a logarithmic scale.
type logScale struct{}

// Normalize implements plot.Normalizer.
func (logScale) Normalize(lo, hi, x float64) float64 {
	return (math.Log(x) - math.Log(lo)) / (math.Log(hi) - math.Log(lo))
}

// linearTicks returns at most n ticks at multiples of 1, 2 or 5 times a power
// of ten.
func linearTicks(lo, hi float64, n int) (ticks []plot.Tick) {
	step := niceStep((hi - lo) / float64(n))
	first, last := math.Ceil(lo/step), math.Floor(hi/step)
	for k := 0.0; k <= last-first; k++ {
		x := (first + k) * step
		ticks = append(ticks, plot.Tick{Value: x, Label: tickLabel(x, step)})
	}
	return ticks
}

// niceStep returns the smallest of 1, 2, 5 times a power of ten that is not
// below x > 0.
func niceStep(x float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= x {
			return m * power
		}
	}
	return 10 * power
}

// tickLabel writes x with the digits that tell it from x + step.
func tickLabel(x, step float64) string {
	if x == 0 {
		return "0"
	}
	digits := 1 + int(math.Floor(math.Log10(math.Abs(x)))) - int(math.Floor(math.Log10(step)))
	digits = max(digits, 1)
	if m := math.Abs(x); m >= 1e-3 && m < 1e5 {
		return strconv.FormatFloat(x, 'f', max(0, -int(math.Floor(math.Log10(step)+1e-9))), 64)
	}
	return exponent(strconv.FormatFloat(x, 'g', digits, 64))
}

// exponent shortens 1e-04 to 1e-4 and 1e+05 to 1e5.
func exponent(s string) string {
	return strings.NewReplacer("e-0", "e-", "e+0", "e", "e+", "e").Replace(s)
}

// logTicks returns ticks at powers of ten, no more than n of them labelled;
// with less than two powers also at their multiples by 2 and 5; and where there
// are none of these either, linear ticks.
func logTicks(lo, hi float64, n int) (ticks []plot.Tick) {
	first, last := int(math.Ceil(math.Log10(lo)-1e-9)), int(math.Floor(math.Log10(hi)+1e-9))
	every := max(1, (last-first+n)/n)
	few := last-first < 1
	labelled := 0
	for e := first - 1; e <= last; e++ {
		for m := 1.0; m < 10; m++ {
			x := m * math.Pow10(e)
			if x < lo || x > hi {
				continue
			}
			t := plot.Tick{Value: x}
			if m == 1 && (e-first)%every == 0 || few && (m == 2 || m == 5 || m == 1) {
				t.Label = strconv.FormatFloat(x, 'g', -1, 64)
				if x < 1e-3 || x >= 1e5 {
					t.Label = exponent(strconv.FormatFloat(x, 'e', -1, 64))
				}
				labelled++
			}
			if m == 1 || every == 1 {
				ticks = append(ticks, t)
			}
		}
	}
	if labelled < 2 {
		return linearTicks(lo, hi, n)
	}
	return ticks
}
