package refine

import (
	"fmt"
	"math"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/sample"
)

// judgement says what is known of one output element, and how badly off it is.
type judgement struct {
	verdict covprop.Verdict
	excess  float64 // orders the elements of one verdict, the worst highest
	reason  string
}

// judge compares a result with the samples: a mean may be off by meanLimit
// standard deviations and a variance by a fraction varianceLimit.
func judge(samples int, seed uint64, res *covprop.Result, m *sample.Marginals, meanLimit, varianceLimit float64) *covprop.Audit {
	a := &covprop.Audit{Samples: samples, Seed: seed, FirstBroken: -1}
	n := float64(len(m.Variance))
	t, tError := sample.Confidence(auditSure), sample.Confidence(1-(1-auditSure)/n) // Bonferroni: one of n is off by chance
	certified := res.Accuracy.Status != covprop.Approximate
	std := res.Std()
	worst := judgement{verdict: covprop.Consistent, excess: math.Inf(-1)}
	for i, v := range m.Variance {
		c := comparison{mean: res.Mean[i], std: std[i], m: m, i: i, t: t, tError: tError, samples: float64(a.Samples), certified: certified}
		c.addTo(a)
		j := c.judge(scaleOf(res, m, i), meanLimit, varianceLimit)
		if constant(m.Mean[i], v) {
			a.Constant = append(a.Constant, i)
		}
		if rank(j.verdict) > rank(worst.verdict) || j.verdict == worst.verdict && j.excess > worst.excess {
			worst, a.Worst = j, i
			worst.reason = elementName(res, i) + ": " + j.reason
		}
	}
	a.Verdict, a.Reason = worst.verdict, worst.reason
	return a
}

// rank orders verdicts from good to bad.
func rank(v covprop.Verdict) int {
	switch v {
	case covprop.Consistent:
		return 0
	case covprop.ClosureError:
		return 2
	}
	return 1
}

// elementName names element i of the result's vector.
func elementName(res *covprop.Result, i int) string {
	for _, o := range res.Outputs {
		if i >= o.Offset && i < o.Offset+o.Len {
			return fmt.Sprintf("output %q, element %d", o.Name, i-o.Offset)
		}
	}
	return fmt.Sprintf("output element %d", i)
}

// scaleOf returns the largest value in the output that element i belongs to:
// what is negligible beside it is.
func scaleOf(res *covprop.Result, m *sample.Marginals, i int) float64 {
	scale := 0.0
	for _, o := range res.Outputs {
		if i >= o.Offset && i < o.Offset+o.Len {
			for k := o.Offset; k < o.Offset+o.Len; k++ {
				scale = max(scale, math.Abs(m.Mean[k]))
			}
		}
	}
	return scale
}

// A comparison is that of element i's moments, mean and std, with samples; t and
// tError are half-widths of confidence intervals in standard errors, to call it
// consistent and an error. Moments that are certified are right unless the samples
// are wrong.
type comparison struct {
	mean, std          float64
	m                  *sample.Marginals
	i                  int
	t, tError, samples float64
	certified          bool
}

// varianceSE returns the standard error of the variance, at least that which N over
// the kurtosis independent samples would have: the spread between replicates that
// have all missed the same tail is too small.
func (c *comparison) varianceSE() float64 {
	i := c.i
	return math.Max(c.m.VarianceSE[i], c.m.Variance[i]*math.Sqrt(math.Max(0, 1/c.m.Carriers[i]-1/c.samples)))
}

// interval returns the ends of a confidence interval of the variance: t standard
// errors se.
func (c *comparison) interval(t, se float64) (low, high float64) {
	v := c.m.Variance[c.i]
	return math.Max(0, v-t*se), v + t*se
}

// differenceSE returns the standard error of the mean's difference, in standard
// deviations, which are known to se/(2 v) of themselves.
func (c *comparison) differenceSE(diff, se float64) float64 {
	v := c.m.Variance[c.i]
	return math.Hypot(c.m.MeanSE[c.i]/math.Sqrt(v), diff*se/(2*v))
}

func (c *comparison) addTo(a *covprop.Audit) {
	i, v := c.i, c.m.Variance[c.i]
	diff, se, ratio, low, high := math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	if !constant(c.m.Mean[i], v) {
		sd := math.Sqrt(v)
		vlow, vhigh := c.interval(c.t, c.varianceSE())
		diff = (c.mean - c.m.Mean[i]) / sd
		se = c.differenceSE(diff, c.varianceSE())
		ratio, low, high = c.std/sd, c.std/math.Sqrt(vhigh), c.std/math.Sqrt(vlow)
		if c.std == 0 {
			high = 0 // not 0/0
		}
	}
	a.MeanDifference, a.MeanDifferenceSE = append(a.MeanDifference, diff), append(a.MeanDifferenceSE, se)
	a.StdRatio = append(a.StdRatio, ratio)
	a.StdRatioLow, a.StdRatioHigh = append(a.StdRatioLow, low), append(a.StdRatioHigh, high)
}

// judge compares with the limits, surely on one side or the other. scale is
// the size of the output.
func (c *comparison) judge(scale, meanLimit, varianceLimit float64) judgement {
	i, v := c.i, c.m.Variance[c.i]
	if constant(c.m.Mean[i], v) {
		return c.judgeConstant(scale)
	}
	sd := math.Sqrt(v)
	diff, square := math.Abs(c.mean-c.m.Mean[i])/sd, c.std*c.std
	margin := c.t * c.differenceSE(diff, c.varianceSE())
	low, high := c.interval(c.t, c.varianceSE())
	surely := c.tError * c.differenceSE(diff, c.m.VarianceSE[i])
	lowest, highest := c.interval(c.tError, c.m.VarianceSE[i])
	j := judgement{
		excess: math.Max(diff/meanLimit, math.Max(square/v, 1)/(1+varianceLimit)),
		reason: fmt.Sprintf("mean off by %.2g standard deviations, standard deviation %.3g of that of %.0f samples", diff, c.std/sd, c.samples),
	}
	if square < v {
		j.excess = math.Max(j.excess, (1-varianceLimit)*v/square)
	}
	few := c.m.Carriers[i] < minCarriers
	switch {
	case diff+margin <= meanLimit && square >= (1-varianceLimit)*high && square <= (1+varianceLimit)*low && !few:
		j.verdict = covprop.Consistent
	case c.m.Carriers[i] >= minCarriers/10 && (diff-surely > meanLimit || square < (1-varianceLimit)*lowest):
		j.verdict = covprop.ClosureError
	case square > (1+varianceLimit)*highest && c.certified:
		j.reason = fmt.Sprintf("the moments are certified, but %.0f samples have not seen what makes %.2g of the variance", c.samples, 1-v/square)
	case square > (1+varianceLimit)*highest && !few: // a rare event would make it look too large
		j.verdict = covprop.ClosureError
	case few:
		j.reason = fmt.Sprintf("only about %.0f of %.0f samples carry the variance", c.m.Carriers[i], c.samples)
	default:
		j.reason = fmt.Sprintf("%.0f samples cannot tell: ", c.samples) + j.reason
	}
	return j
}

// negligibleStd is the standard deviation, relative to the size of the output,
// below which that of an output that is constant in all samples counts as 0.
const negligibleStd = 1e-6

// judgeConstant judges an element that has the same value y in all N samples.
// Another value then has a probability p of at most 3/N (19 times out of 20),
// and by the Cauchy-Schwarz inequality
//
//	|E(y' - y)| <= sqrt(p) sqrt(E(y' - y)^2),
//
// so that moments with a larger mean are refuted; others may be those of an
// event that no sample saw.
func (c *comparison) judgeConstant(scale float64) judgement {
	diff := math.Abs(c.mean - c.m.Mean[c.i])
	root := math.Hypot(c.std, diff)
	j := judgement{reason: fmt.Sprintf("constant in all of %.0f samples, but the standard deviation is %.2g", c.samples, c.std)}
	if scale > 0 {
		j.excess = root / scale
	}
	switch {
	case root <= negligibleStd*scale:
		j.verdict = covprop.Consistent
		j.reason = fmt.Sprintf("constant in all of %.0f samples", c.samples)
	case diff > math.Sqrt(3/c.samples)*root && !c.certified:
		j.verdict = covprop.ClosureError
		j.reason = fmt.Sprintf("constant in all of %.0f samples, at %.6g, but the mean is %.6g and the standard deviation %.2g", c.samples, c.m.Mean[c.i], c.mean, c.std)
	}
	return j
}

// unsampled is the audit where there are no samples, or the function overflows
// at one.
func (a *Audit) unsampled(res *covprop.Result, reason string) *covprop.Audit {
	to := &covprop.Audit{Verdict: covprop.Inconclusive, Reason: reason, Seed: a.Seed, FirstBroken: -1}
	for _, x := range []*[]float64{&to.MeanDifference, &to.MeanDifferenceSE, &to.StdRatio, &to.StdRatioLow, &to.StdRatioHigh} {
		for range res.Dim() {
			*x = append(*x, math.NaN())
		}
	}
	return to
}
