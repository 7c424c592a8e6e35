package refine

import (
	"fmt"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// A link is one node of a network that is a chain: an activation, or the
// affine map y = A x + b, or neither for y = x.
type link struct {
	name, op, rule string
	n, out         int // lengths of input and output

	activation *layer.Elementwise // or
	affine     layer.Linear
	// third says that third cumulants come in with the input (they do after
	// the first activation) and are needed later (by another activation).
	third bool
	last  bool // the last activation: its output needs no third cumulants
}

func (l *link) errorf(format string, args ...any) error {
	return &covprop.ModelError{Node: l.name, Op: l.op, Err: fmt.Errorf(format, args...)}
}

// needsNoClosure reports whether the moment method is right for the network:
// at most one node is nonlinear.
func needsNoClosure(net *graph.Network) bool {
	nonlinear := 0
	for _, l := range net.Layers() {
		if !isAffine(l.Rule) {
			nonlinear++
		}
	}
	return nonlinear <= 1
}

func isAffine(r layer.Rule) bool {
	if e, ok := r.(*layer.Elementwise); ok {
		return e.IsAffine()
	}
	_, ok := r.(layer.Linear)
	return ok
}

// chainOf returns the nodes of a network that is a chain of affine maps and
// activations, in which each node reads the one before it and the last is the
// only output.
func chainOf(net *graph.Network) ([]link, error) {
	refuse := func(l *graph.Layer, format string, args ...any) error {
		return (&link{name: l.Name, op: l.Op}).errorf("cumulant3: "+format+"; use another method", args...)
	}
	in, out := net.Inputs(), net.OutputSources()
	if len(in) != 1 || len(out) != 1 {
		return nil, &covprop.ModelError{Err: fmt.Errorf("cumulant3: the network has %d inputs and %d outputs, but must be a chain from one to one; use another method", len(in), len(out))}
	}
	layers := net.Layers()
	links := make([]link, len(layers))
	before, first, final := -1, len(layers), 0 // the node to be read; activations
	for i := range layers {
		l := &layers[i]
		if len(l.Inputs) != 1 || l.Inputs[0] != before {
			return nil, refuse(l, "the network must be a chain, and this node does not read the one before it, and nothing else")
		}
		links[i] = link{name: l.Name, op: l.Op, rule: l.Rule.Name(), n: l.Rule.Inputs()[0], out: l.Rule.OutputLen()}
		switch r := l.Rule.(type) {
		case *layer.Reshape:
			continue // those behind it read what it reads
		case *layer.Elementwise:
			links[i].activation = r
			first, final = min(first, i), i
		case layer.Linear:
			links[i].affine = r
		default:
			return nil, refuse(l, "the rule %q is neither affine nor an activation", r.Name())
		}
		before = i
	}
	if out[0].Layer != before {
		return nil, refuse(&layers[before], "the network must be a chain, and this node is not its output")
	}
	for i := range links {
		l := &links[i]
		l.third, l.last = first < i && i <= final, i == final
		if n := max(l.n, l.out); l.third && n > cumulantWidth {
			return nil, refuse(&layers[i], "the layer has %d elements, and third cumulants are kept for at most %d", n, cumulantWidth)
		}
	}
	return links, nil
}

// matrixOf returns A, (m, n), of an affine map y = A x + b, as A diag(1).
func matrixOf(rule layer.Linear) blas64.General {
	ones := make([]float64, rule.Inputs()[0])
	for i := range ones {
		ones[i] = 1
	}
	a := newGeneral(rule.OutputLen(), len(ones))
	rule.Matrix(0).MulDiagTo(a, ones)
	return a
}

// diagonalOf returns the diagonal of a; ok reports whether a is square and has no
// other entries.
func diagonalOf(a blas64.General) (d []float64, ok bool) {
	if a.Rows != a.Cols {
		return nil, false
	}
	d = make([]float64, a.Rows)
	for i := range d {
		for j, x := range row(a, i) {
			if i != j && x != 0 {
				return nil, false
			}
		}
		d[i] = row(a, i)[i]
	}
	return d, true
}

// mixes reports whether the link is an affine map whose matrix is not known to be
// diagonal before it is formed.
func (l *link) mixes() bool {
	_, scales := l.affine.(*layer.Scale)
	return l.affine != nil && !scales
}
