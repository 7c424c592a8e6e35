package refine

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/qmc"
	"github.com/covprop/covprop/internal/sample"
)

// A trace holds the analytic marginals of every node's output.
type trace struct {
	mean, variance [][]float64 // by node
}

// propagate propagates in and keeps the marginals of every node, and the gain
// where that costs at most half as much again and fits into memory.
func (t *trace) propagate(ctx context.Context, net *graph.Network, in covprop.Gaussian) (covprop.Result, error) {
	o := net.Options()
	n := len(net.Nodes())
	t.mean, t.variance = make([][]float64, n), make([][]float64, n)
	observe := o.Observe
	o.Observe = func(node int, mean, variance []float64) {
		if observe != nil {
			observe(node, mean, variance)
		}
		t.mean[node] = append(t.mean[node][:0], mean...)
		t.variance[node] = append(t.variance[node][:0], variance...)
	}
	if !o.Diagonal && !o.KeepInput {
		kept := o
		kept.KeepInput = true
		with := net.With(kept)
		cheap := float64(with.PropagationOperations(false)) <= 1.5*float64(net.PropagationOperations(false))
		if cheap && (o.MaxBytes == 0 || with.PeakBytes() <= o.MaxBytes) {
			o = kept
		}
	}
	return net.With(o).Propagate(ctx, in)
}

// forget takes from a result what only the audit has asked for.
func (t *trace) forget(net *graph.Network, res *covprop.Result) {
	if !net.Options().KeepInput {
		res.InputCov = nil
	}
}

// nodeSamples is how many samples look at the nodes, at most, and nodeBatch how
// many at a time.
const nodeSamples, nodeBatch = 4096, 64

// nodes compares the marginals of every node with samples, and finds the first
// whose moments are off: more than the limits of an audit, for all of its
// elements together.
func (a *Audit) nodes(ctx context.Context, net *graph.Network, in covprop.Gaussian, t *trace, to *covprop.Audit) error {
	root, err := sample.NewPrincipal(ctx, in.Cov)
	if err != nil {
		return err
	}
	source, err := sample.NewSource(qmc.Sobol, in.Mean, root, a.Seed^auditSeed, 0)
	if err != nil {
		return err
	}
	sums := make([]nodeSums, len(t.mean))
	total := min(nodeSamples, to.Samples/3)
	for done := 0; done < total; done += nodeBatch {
		b := min(nodeBatch, total-done)
		z, x, y := newGeneral(root.Rank(), b), newGeneral(in.Dim(), b), newGeneral(net.OutputDim(), b)
		if err := ctx.Err(); err != nil {
			return err
		}
		source.DrawTo(x, z, done)
		err := net.EvalBatchObserved(y, x, func(node int, v blas64.General) {
			if t.mean[node] != nil {
				sums[node].add(v, t.mean[node])
			}
		})
		if err != nil {
			return err
		}
	}
	for k, info := range net.Nodes() {
		n := covprop.NodeAudit{Name: info.Name, Op: info.Op}
		sums[k].compare(&n, t.variance[k])
		to.Nodes = append(to.Nodes, n)
		if to.FirstBroken < 0 && broken(&n, float64(total)) {
			to.FirstBroken = k
		}
	}
	if to.FirstBroken < 0 {
		to.FirstBroken = maker(net, to.Worst)
	}
	return nil
}

// maker returns the node that makes element i of the output vector, -1 if it
// is an input or a constant.
func maker(net *graph.Network, i int) int {
	from := net.OutputSources()
	for k, o := range net.Outputs() {
		if i >= o.Offset && i < o.Offset+o.Len && from[k].Constant == nil {
			return max(from[k].Layer, -1)
		}
	}
	return -1
}

// broken reports whether a node's moments are off by more than an audit's
// limits and three standard errors of as many independent samples of a
// Gaussian. An element's weight is its variance, so that one that matters
// little does not count.
func broken(n *covprop.NodeAudit, samples float64) bool {
	return n.MeanDifference > meanLimit+3*math.Sqrt(1/samples) ||
		math.Abs(n.StdRatio*n.StdRatio-1) > varianceLimit+3*math.Sqrt(2/samples)
}

// nodeSums are sums over samples of one node's elements, relative to the
// analytic means: sum d, sum d^2, sum d^3.
type nodeSums struct {
	n          float64
	s1, s2, s3 []float64
}

func (t *nodeSums) add(y blas64.General, mean []float64) {
	if t.s1 == nil {
		t.s1, t.s2, t.s3 = make([]float64, y.Rows), make([]float64, y.Rows), make([]float64, y.Rows)
	}
	t.n += float64(y.Cols)
	for i := range t.s1 {
		var s1, s2, s3 float64
		for _, v := range row(y, i) {
			d := v - mean[i]
			s1 += d
			s2 += d * d
			s3 += d * d * d
		}
		t.s1[i] += s1
		t.s2[i] += s2
		t.s3[i] += s3
	}
}

// compare fills in n. With the errors delta_i of the means and the sampled
// variances v_i,
//
//	MeanDifference^2 = max(0, sum delta_i^2 - sum v_i/N) / sum v_i
//
// where sum v_i/N is what independent samples would differ by.
func (t *nodeSums) compare(n *covprop.NodeAudit, analytic []float64) {
	n.MeanDifference, n.StdRatio, n.Skewness = math.NaN(), math.NaN(), math.NaN()
	var delta2, total, claimed, largest float64
	for i := range t.s1 {
		d := t.s1[i] / t.n
		v := t.s2[i]/t.n - d*d
		delta2 += d * d
		total += v
		claimed += analytic[i]
		largest = math.Max(largest, v)
	}
	if !(total > 0) {
		return
	}
	n.MeanDifference = math.Sqrt(math.Max(0, delta2/total-1/t.n))
	n.StdRatio = math.Sqrt(claimed / total)
	n.Skewness = 0
	for i := range t.s1 {
		d := t.s1[i] / t.n
		v := t.s2[i]/t.n - d*d
		if v >= largest/100 {
			third := t.s3[i]/t.n - 3*d*t.s2[i]/t.n + 2*d*d*d
			n.Skewness = math.Max(n.Skewness, math.Abs(third)/(v*math.Sqrt(v)))
		}
	}
}

func newGeneral(r, c int) blas64.General {
	return blas64.General{Rows: r, Cols: c, Stride: c, Data: make([]float64, r*c)}
}

func row(a blas64.General, i int) []float64 { return a.Data[i*a.Stride:][:a.Cols] }
