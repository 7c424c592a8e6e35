package graph_test

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
)

// joint is the reference: the mean and covariance of all tensors made so far,
// in one matrix from which nothing is dropped.
type joint struct {
	mean []float64
	cov  *mat.Dense
}

// reference returns the joint moments of outputs and inputs. It propagates
// with the same schedule and closure, but by definition: linear maps are found
// from Forward, gains are matrices that act on everything. activations adds
// the tensors of a step of elementwise nodes.
func (g *dag) reference(in covprop.Gaussian, activations func(*dag, joint, []int)) joint {
	n := g.size()
	s := joint{make([]float64, n), mat.NewDense(n, n, nil)}
	for i, m := range in.Mean {
		s.mean[i] = m
		for j := range in.Mean {
			s.cov.Set(i, j, in.Cov.At(i, j))
		}
	}
	needed := make([]bool, g.tensors())
	for _, t := range g.outputs {
		needed[t] = true
	}
	for k := len(g.nodes) - 1; k >= 0; k-- {
		for _, t := range g.nodes[k].in {
			needed[t] = needed[t] || needed[g.inputs+k]
		}
	}
	made := make([]bool, g.tensors())
	for i := range g.inputs {
		made[i] = true
	}
	for {
		var linear, elementwise, nonlinear []int // nodes that are ready
		for k, d := range g.nodes {
			if made[g.inputs+k] || !needed[g.inputs+k] || slices.ContainsFunc(d.in, func(t int) bool { return !made[t] }) {
				continue
			}
			switch d.rule.(type) {
			case layer.Linear:
				linear = append(linear, k)
			case *layer.Elementwise:
				elementwise = append(elementwise, k)
			default:
				nonlinear = append(nonlinear, k)
			}
		}
		var step []int
		switch {
		case linear != nil:
			step = linear[:1]
			g.linear(s, step[0])
		case elementwise != nil:
			step = elementwise
			activations(g, s, step)
		case nonlinear != nil:
			step = nonlinear[:1]
			g.nonlinear(s, step[0])
		default:
			tensors := slices.Clone(g.outputs)
			for i := range g.inputs {
				tensors = append(tensors, i)
			}
			return g.part(s, tensors)
		}
		for _, k := range step {
			made[g.inputs+k] = true
		}
	}
}

// linear adds the tensor of a linear node.
func (g *dag) linear(s joint, k int) {
	d := g.nodes[k]
	var args [][]float64
	for _, t := range d.in {
		args = append(args, make([]float64, g.lens[t]))
	}
	n := g.lens[g.inputs+k]
	b, col := make([]float64, n), make([]float64, n)
	d.rule.Forward(b, args...)
	a := mat.NewDense(n, len(s.mean), nil)
	for i, t := range d.in {
		for j := range args[i] {
			args[i][j] = 1
			d.rule.Forward(col, args...)
			args[i][j] = 0
			for r := range n {
				a.Set(r, g.offset[t]+j, a.At(r, g.offset[t]+j)+col[r]-b[r])
			}
		}
	}
	var mean mat.VecDense
	mean.MulVec(a, mat.NewVecDense(len(s.mean), s.mean))
	for i := range b {
		b[i] += mean.AtVec(i)
	}
	var cross, self mat.Dense
	cross.Mul(a, s.cov)
	self.Mul(&cross, a.T())
	g.add(s, k, b, &cross, &self)
}

// nonlinear adds the tensor of a nonlinear node: its own moments are the
// rule's, of the joint Gaussian of its inputs; the rest is by the gains.
func (g *dag) nonlinear(s joint, k int) {
	d, n := g.nodes[k], g.lens[g.inputs+k]
	in := &layer.Joint{}
	for i, t := range d.in {
		in.Mean = append(in.Mean, s.mean[g.offset[t]:][:g.lens[t]])
		in.Cov = append(in.Cov, make([]layer.Block, i+1))
		for j, u := range d.in[:i+1] {
			in.Cov[i][j].Dense = g.between(s, t, u)
		}
	}
	rule := d.rule.(layer.Nonlinear)
	self := mat.NewDense(n, n, nil)
	y := layer.Response{
		Mean: make([]float64, n), Cov: self.RawMatrix(),
		Gain: make([]layer.Gain, len(d.in)), Work: make([]float64, rule.WorkFloats(false)),
	}
	must(rule.MomentsTo(context.Background(), &y, in, seriesOptions))
	gain := mat.NewDense(n, len(s.mean), nil) // of the vector of all tensors
	for i, t := range d.in {
		one := mat.NewDense(g.lens[t], g.lens[t], nil)
		for j := range g.lens[t] {
			one.Set(j, j, 1)
		}
		view := gain.Slice(0, n, g.offset[t], g.offset[t]+g.lens[t]).(*mat.Dense)
		check(y.Gain[i].MulTo(context.Background(), 1, view.RawMatrix(), one.RawMatrix(), true))
	}
	var cross mat.Dense
	cross.Mul(gain, s.cov)
	g.add(s, k, y.Mean, &cross, self)
}

// add makes node k's output part of s: its mean, its covariance with all
// tensors and that with itself.
func (g *dag) add(s joint, k int, mean []float64, cross, self *mat.Dense) {
	y := g.offset[g.inputs+k]
	copy(s.mean[y:], mean)
	for i := range mean {
		for j := range s.mean {
			s.set(y+i, j, cross.At(i, j))
		}
	}
	for i := range mean {
		for j := range mean {
			s.cov.Set(y+i, y+j, self.At(i, j))
		}
	}
}

// between returns a copy of the covariance between tensors t and u.
func (g *dag) between(s joint, t, u int) blas64.General {
	i, j := g.offset[t], g.offset[u]
	return mat.DenseCopyOf(s.cov.Slice(i, i+g.lens[t], j, j+g.lens[u])).RawMatrix()
}

// seriesOptions are those of the networks compared.
var seriesOptions = layer.Options{Tol: 1e-12, Threads: 1}

// series adds the tensors of a step of elementwise nodes, the moments of pairs
// of nodes from their rules.
func (g *dag) series(s joint, nodes []int) {
	moments := make([]layer.Moments, len(nodes))
	isNew := make([]bool, len(s.mean))
	for p, k := range nodes {
		x, y, n := g.nodes[k].in[0], g.offset[g.inputs+k], g.lens[g.inputs+k]
		v := make([]float64, n)
		for i := range v {
			v[i] = max(0, s.cov.At(g.offset[x]+i, g.offset[x]+i))
			isNew[y+i] = true
		}
		m := &moments[p]
		check(g.nodes[k].rule.(*layer.Elementwise).MomentsTo(context.Background(), m, s.mean[g.offset[x]:][:n], v, true, seriesOptions))
		copy(s.mean[y:], m.Mean)
	}
	for p, k := range nodes {
		x, y := g.nodes[k].in[0], g.inputs+k
		for i, gain := range moments[p].Gain {
			for j := range s.mean {
				if !isNew[j] {
					s.set(g.offset[y]+i, j, gain*s.cov.At(g.offset[x]+i, j))
				}
			}
		}
		for q, l := range nodes[:p+1] {
			c := g.between(s, x, g.nodes[l].in[0])
			must(layer.CovarianceTo(context.Background(), c, c, &moments[p], &moments[q], p == q, seriesOptions))
			for i := range c.Rows {
				for j := range c.Cols {
					s.set(g.offset[y]+i, g.offset[g.inputs+l]+j, c.Data[i*c.Stride+j])
				}
			}
		}
	}
}

// quadrature does the same by quadrature, pair by pair.
func (g *dag) quadrature(s joint, nodes []int) {
	type unit struct {
		x, y int // indices into the joint vector
		a    activation.Activation
		sd   float64 // of the input
	}
	var units []unit
	isNew := make([]bool, len(s.mean))
	for _, k := range nodes {
		e := g.nodes[k].rule.(*layer.Elementwise)
		for i := range e.OutputLen() {
			x, y := g.offset[g.nodes[k].in[0]]+i, g.offset[g.inputs+k]+i
			units = append(units, unit{x, y, e.Activation(i), math.Sqrt(max(0, s.cov.At(x, x)))})
			isNew[y] = true
		}
	}
	for _, u := range units {
		gain := u.a.Derivative(s.mean[u.x])
		s.mean[u.y] = u.a.Apply(s.mean[u.x])
		if u.sd > 0 {
			gain = ref.Coefficient(u.a.Apply, 1, s.mean[u.x], u.sd, u.a.Kinks()) / u.sd
			s.mean[u.y] = ref.Mean(u.a.Apply, s.mean[u.x], u.sd, u.a.Kinks())
		}
		for j := range s.mean {
			if !isNew[j] {
				s.set(u.y, j, gain*s.cov.At(u.x, j))
			}
		}
	}
	for p, u := range units {
		if u.sd > 0 {
			s.set(u.y, u.y, ref.Variance(u.a.Apply, s.mean[u.x], u.sd, u.a.Kinks()))
		}
		for _, w := range units[:p] {
			if c := s.cov.At(u.x, w.x); u.sd > 0 && w.sd > 0 && c != 0 {
				rho := max(-1, min(1, c/u.sd/w.sd))
				s.set(u.y, w.y, ref.Covariance(u.a.Apply, u.a.Kinks(), w.a.Apply, w.a.Kinks(), s.mean[u.x], u.sd, s.mean[w.x], w.sd, rho))
			}
		}
	}
}

func (s joint) set(i, j int, v float64) {
	s.cov.Set(i, j, v)
	s.cov.Set(j, i, v)
}

// part returns the moments of some tensors.
func (g *dag) part(s joint, tensors []int) joint {
	var at []int
	for _, t := range tensors {
		for i := range g.lens[t] {
			at = append(at, g.offset[t]+i)
		}
	}
	r := joint{make([]float64, len(at)), mat.NewDense(len(at), len(at), nil)}
	for i, k := range at {
		r.mean[i] = s.mean[k]
		for j, l := range at {
			r.cov.Set(i, j, s.cov.At(k, l))
		}
	}
	return r
}
