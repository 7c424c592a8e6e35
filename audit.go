package covprop

// Verdict is what an audit found.
type Verdict int

// The verdicts. Only Consistent says that the moments were seen to be right.
const (
	// Inconclusive: the samples could not tell.
	Inconclusive Verdict = iota
	// Consistent: the moments agree with the samples to within the audit's
	// limits.
	Consistent
	// ClosureError: the moments differ from the samples by more than the
	// audit's limits, and by more than the samples' own error.
	ClosureError
)

func (v Verdict) String() string {
	switch v {
	case Consistent:
		return "consistent"
	case ClosureError:
		return "closure error"
	}
	return "inconclusive"
}

// An Audit compares the moments of a Result with samples of the function. The
// slices have an element for each of the result's. Where a sampled standard
// deviation is zero and the comparison has no meaning, they hold NaN.
type Audit struct {
	Verdict Verdict
	// Reason says in a few words why the verdict is what it is.
	Reason string
	// Worst is the element that the verdict is about: the worst of all.
	Worst int
	// Samples is the number of evaluations, Seed what selected them.
	Samples int
	Seed    uint64
	// MeanDifference is the result's mean minus the sampled one, in sampled
	// standard deviations, and MeanDifferenceSE its standard error.
	MeanDifference, MeanDifferenceSE []float64
	// StdRatio is the result's standard deviation over the sampled one, and
	// StdRatioLow to StdRatioHigh its 95% confidence interval; the end may be
	// +Inf.
	StdRatio, StdRatioLow, StdRatioHigh []float64
	// Constant lists the elements that had the same value in all samples, to
	// rounding.
	Constant []int
	// FirstBroken is the index in Nodes of the first node whose moments are
	// off, all of its elements taken together, or else of that which makes
	// element Worst; -1 if nodes were not looked at.
	FirstBroken int
	// Nodes compares the nodes one by one, in the order of execution; empty
	// unless the verdict asked for it and the function has nodes.
	Nodes []NodeAudit
}

// A NodeAudit compares the moments of one node's output with samples.
type NodeAudit struct {
	Name, Op string
	// MeanDifference is the root mean square error of the means of the node's
	// elements, relative to the root mean square of their sampled standard
	// deviations, beyond what sampling explains.
	MeanDifference float64
	// StdRatio is the ratio of the root mean square standard deviations,
	// analytic over sampled.
	StdRatio float64
	// Skewness is the largest |skewness| among the elements that have a
	// variance of at least a hundredth of the largest: a Gaussian's is 0.
	Skewness float64
}
