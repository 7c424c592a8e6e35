package refine

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/sample"
)

// refinement is the state of a Mixture's Propagate.
type refinement struct {
	*Mixture
	in     covprop.Gaussian
	root   *sample.Root
	whole  *component // the input as it is
	space  *subspace
	leaves []*component

	// ruleShare is the error of the split itself in relation to what the split
	// changes, rule the sum of these errors over all splits made, and beyond
	// what splits along the directions that were not tried are predicted to
	// change.
	ruleShare    float64
	rule, beyond change

	mean, variance []float64 // of the mixture of leaves
	propagations   int
	cost           float64 // in propagations, with the search for directions

	checked   *covprop.Audit
	checkedAt int // the number of leaves then
}

func newRefinement(m *Mixture, in covprop.Gaussian, root *sample.Root, res *covprop.Result) *refinement {
	r := &refinement{Mixture: m, in: in, root: root, propagations: 1, cost: 1}
	r.whole = &component{weight: 1, res: *res}
	r.leaves = []*component{r.whole}
	r.total()
	return r
}

// first finds the directions and makes the first split: that of all trials,
// one along each direction, which changes the moments most. It says why it
// could not.
func (r *refinement) first(ctx context.Context) (why string, err error) {
	points, cost := r.jacobians()
	nodes := r.Split.Nodes
	q := int((r.Budget - r.cost - cost - float64(moreNodes(nodes))) / float64(nodes))
	if q < 1 {
		return r.spentReason(), nil
	}
	if r.space, err = newSubspace(ctx, r.Mixture, r.in, r.root, points, min(q, r.Directions)); err != nil {
		return "", err
	}
	r.cost += cost
	q = len(r.space.lambda)
	w := r.whole
	w.pos, w.std, w.errs = make([]float64, q), make([]float64, q), make([]change, q)
	for j := range w.std {
		w.std[j] = 1
	}
	var trials []*component
	for j := range q {
		trials = append(trials, w.split(j, r.Split)...)
	}
	if err := r.propagate(ctx, trials); err != nil {
		return "", err
	}
	best := 0
	for j := range q {
		w.errs[j] = w.measure(trials[j*nodes:][:nodes])
		if w.errs[j].largest() > w.errs[best].largest() {
			best = j
		}
	}
	r.lookBeyond()
	r.take(best, trials[best*nodes:][:nodes])
	return "", r.doubleNodes(ctx, best)
}

// take makes parts, along direction j, the first split.
func (r *refinement) take(j int, parts []*component) {
	r.leaves = parts
	r.whole.errs[j] = r.whole.measure(parts)
	r.inherit(r.whole, parts, j)
	r.total()
}

// doubleNodes gives the first split, along direction j, the nodes it needs,
// since its own error stays. The nodes are doubled until that changes the moments by no more than
// half the error asked for, or than a quarter of what later splits are
// predicted to, or takes a quarter of the budget that is left.
func (r *refinement) doubleNodes(ctx context.Context, j int) error {
	s, known := r.Split, change{}
	r.rule = r.whole.errs[j] // until more is known, should a deadline come
	for more := moreNodes(s.Nodes); more > s.Nodes; more = moreNodes(s.Nodes) {
		if s.Nodes > r.Split.Nodes && float64(more) > (r.Budget-r.cost)/4 {
			return nil
		}
		s.Nodes = more
		finer := r.whole.split(j, s)
		if err := r.propagate(ctx, finer); err != nil {
			return err
		}
		d := difference(r.whole, r.leaves, finer)
		// A kinked function's error is erratic: a difference may be small by
		// chance after one that was not.
		known = change{max(d.mean, known.mean/4), max(d.variance, known.variance/4)}
		r.rule = known
		if whole := r.whole.errs[j].largest(); len(r.leaves) == r.Split.Nodes && whole > 0 {
			r.ruleShare = min(1, d.largest()/whole)
		}
		if rule := r.rule.largest(); rule <= r.RelError/2 || rule <= r.predicted().largest()/4 {
			return nil
		}
		r.take(j, finer)
	}
	return nil
}

// moreNodes is the number of nodes of the next finer rule: 5, 9, 17, ...
func moreNodes(n int) int { return min(2*n-1, maxNodes) }

// lookBeyond predicts that the directions that were not tried change as much,
// for their part of E[J'WJ], as those that were.
func (r *refinement) lookBeyond() {
	var tried float64
	var sum change
	for j, e := range r.whole.errs {
		tried += r.space.lambda[j]
		sum.mean += e.mean
		sum.variance += e.variance
	}
	if part := (r.space.trace - tried) / tried; part > 0 {
		r.beyond = sum.scaled(part, part)
	}
}

// inherit predicts the changes of the parts of c from those of c, which was split
// along j.
//
// Along j it is smaller by Width^2: the closure is off by a curvature, which
// takes two powers of the standard deviation. Along the other directions it
// stays what it was in absolute terms, that is, it grows in relation to the
// variance within the parts as that falls. (A prediction in proportion to the
// variance loses sight of it: on ACAS Xu at .05 it ends 35 times the variance
// off, and thinks 0.1.)
func (r *refinement) inherit(c *component, parts []*component, j int) {
	within := 1.0
	for i := range c.res.Mean {
		if v := c.res.Cov.At(i, i); v > 0 {
			sum := 0.0
			for _, p := range parts {
				sum += p.weight / c.weight * p.res.Cov.At(i, i)
			}
			if sum > 0 {
				within = min(within, sum/v)
			}
		}
	}
	s := r.Split.Width * r.Split.Width
	for _, p := range parts {
		for l, e := range c.errs {
			p.errs[l] = e.scaled(1/math.Sqrt(within), 1/within)
		}
		p.errs[j] = c.errs[j].scaled(s, s)
	}
}

// total computes the means and variances of the mixture.
func (r *refinement) total() {
	first := r.leaves[0].res.Mean
	r.mean, r.variance = make([]float64, len(first)), make([]float64, len(first))
	for i, base := range first {
		for _, c := range r.leaves {
			r.mean[i] += c.weight * (c.res.Mean[i] - base)
		}
		r.mean[i] += base
		for _, c := range r.leaves {
			d := c.res.Mean[i] - r.mean[i]
			r.variance[i] += c.weight * (c.res.Cov.At(i, i) + d*d)
		}
	}
}

// share returns what a change of c's own moments by 1 changes in the mixture's.
func (r *refinement) share(c *component) (s change) {
	for i, v := range r.variance {
		if v > 0 {
			part := c.res.Cov.At(i, i) / v
			s.mean = max(s.mean, c.weight*math.Sqrt(part))
			s.variance = max(s.variance, c.weight*part)
		}
	}
	return s
}

// mostEstimate is the largest estimate that is one: no change is more than 1,
// and what is off by a factor of 4,000 changes by that at every split, too.
const mostEstimate = .5

// estimate returns the error that is left: the sum of all predicted changes
// and of what the rule itself is off by. It is +Inf, for unknown, before the
// first split and above mostEstimate.
func (r *refinement) estimate() float64 {
	p := r.predicted()
	e := max(p.mean+r.rule.mean+r.beyond.mean, p.variance+r.rule.variance+r.beyond.variance)
	if len(r.leaves) == 1 || !(e <= mostEstimate) {
		return math.Inf(1)
	}
	return e
}

// predicted returns the sum of all predicted changes.
func (r *refinement) predicted() (sum change) {
	for _, c := range r.leaves {
		s := r.share(c)
		for _, e := range c.errs {
			sum.mean += s.mean * e.mean
			sum.variance += s.variance * e.variance
		}
	}
	return sum
}

// A candidate is a split that may be made next.
type candidate struct {
	leaf, direction int
	gain            float64
}

// candidates returns the most best splits, no two of the same leaf: for the
// moments those with the largest predicted change, for the shape of the mixture
// those with the largest part of the variance, by the Jacobian. Splits that
// gain nothing are left out.
func (r *refinement) candidates(shape bool, most int) []candidate {
	var cs []candidate
	for i, c := range r.leaves {
		best := candidate{leaf: i}
		s := r.share(c)
		for j, e := range c.errs {
			g := e.scaled(s.mean, s.variance).largest()
			if shape {
				g = c.weight * r.space.lambda[j] * c.std[j] * c.std[j]
			}
			if g > best.gain {
				best.direction, best.gain = j, g
			}
		}
		if best.gain > 0 {
			cs = append(cs, best)
		}
	}
	sort.SliceStable(cs, func(a, b int) bool { return cs[a].gain > cs[b].gain })
	return cs[:min(most, len(cs))]
}

// mostSplits is the number of splits in a round: few enough to learn from one
// round for the next, and enough to keep all processors busy.
const mostSplits = 64

// affordable returns the number of splits that the next round may make.
func (r *refinement) affordable() int {
	n := min(mostSplits, max(1, len(r.leaves)/4))
	nodes := r.Split.Nodes
	if left := (r.Budget - r.cost) / float64(nodes); float64(n) > left {
		n = int(left)
	}
	if most := r.memory(); len(r.leaves)+n*(nodes-1) > most {
		n = max(0, (most-len(r.leaves))/(nodes-1))
	}
	return n
}

// memory returns the number of components whose covariances the limit allows.
func (r *refinement) memory() int {
	limit := r.Network.Options().MaxBytes
	if limit == 0 {
		return math.MaxInt
	}
	m := int64(r.Network.OutputDim())
	return int(limit / (8 * m * m))
}

func (r *refinement) spentReason() string {
	if (r.Budget-r.cost)/float64(r.Split.Nodes) >= 1 && r.space != nil {
		return "when the memory limit was reached"
	}
	return fmt.Sprintf("when the budget of %g propagations was spent", r.Budget)
}

// round makes the best of the candidates' splits.
func (r *refinement) round(ctx context.Context, best []candidate) error {
	nodes := r.Split.Nodes
	var parts []*component
	for _, b := range best {
		parts = append(parts, r.leaves[b.leaf].split(b.direction, r.Split)...)
	}
	if err := r.propagate(ctx, parts); err != nil {
		return err
	}
	for t, b := range best {
		c, of := r.leaves[b.leaf], parts[t*nodes:][:nodes]
		c.errs[b.direction] = c.measure(of)
		share, e := r.share(c), c.errs[b.direction].scaled(r.ruleShare, r.ruleShare)
		r.rule.mean += share.mean * e.mean
		r.rule.variance += share.variance * e.variance
		r.inherit(c, of, b.direction)
		r.leaves[b.leaf] = of[0]
		r.leaves = append(r.leaves, of[1:]...)
	}
	r.total()
	return nil
}
