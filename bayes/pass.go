package bayes

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/internal/vec"
)

// A pass pushes the moments of some examples through a network, and gradients
// back. It is scratch and is used again and again.
type pass struct {
	net     *Network
	opts    Options // with Tol set
	rows    int     // room
	used    int     // rows in use
	states  []state // states[i+1] is behind step i
	cache   []cache // by step
	theta   []float64
	acc     covprop.Accuracy
	dropped bool // covariances of the input are ignored
	// keepSeries asks for the coefficients of all units, see share.go.
	keepSeries bool

	batch unitBatch
	pairs pairScratch
	// space for stacks of matrices, and for what is transposed.
	stack, turned []float64
}

// cache is what a step keeps for its adjoint.
type cache struct {
	units units
	// Of a linear step: V and v (out, in), (out), M' (in, out), M o M (out, in),
	// diag Sigma + mu o mu (B, in), and for a full input U'_b = (M Sigma_b)', one
	// below the other, (B in, out).
	weightVar, biasVar, transposed, squares []float64
	moment                                  blas64.General
	product                                 []float64
	// The derivatives by V and v.
	gradWeightVar, gradBiasVar []float64
}

func newPass(n *Network, o Options, rows int) *pass {
	p := &pass{net: n, opts: o, rows: rows, states: make([]state, len(n.steps)+1), cache: newCaches(n, rows)}
	p.states[0].init(n.inputs, 0, rows)
	for i := range n.steps {
		p.states[i+1].init(n.steps[i].out, n.steps[i].depth, rows)
	}
	return p
}

// newCaches returns those of all steps, for so many rows.
func newCaches(n *Network, rows int) []cache {
	caches := make([]cache, len(n.steps))
	for i := range n.steps {
		s, c := &n.steps[i], &caches[i]
		if s.kind != linearStep {
			continue
		}
		size, ld := s.out*s.in, roundUp(s.in)
		c.transposed, c.squares = make([]float64, size), make([]float64, size)
		c.moment = matrix(make([]float64, rows*ld), rows, s.in, ld)
		if s.linear.uncertain {
			c.weightVar, c.biasVar = make([]float64, size), make([]float64, s.out)
			c.gradWeightVar, c.gradBiasVar = make([]float64, size), make([]float64, s.out)
		}
	}
	return caches
}

// setTheta prepares what depends on the parameters alone.
func (p *pass) setTheta(theta []float64) {
	p.theta = theta
	prepare(p.net, p.cache, theta)
}

// prepare computes V, M' and M o M, and clears the derivatives by V.
func prepare(n *Network, caches []cache, theta []float64) {
	for i := range n.steps {
		s, c := &n.steps[i], &caches[i]
		if s.kind != linearStep {
			continue
		}
		m := theta[s.linear.weight:][:s.out*s.in]
		transposeTo(matrix(c.transposed, s.in, s.out, s.out), matrix(m, s.out, s.in, s.in))
		for k, x := range m {
			c.squares[k] = x * x
		}
		if s.linear.uncertain {
			vec.ExpTo(c.weightVar, theta[s.linear.weightLog:][:s.out*s.in])
			vec.ExpTo(c.biasVar, theta[s.linear.biasLog:][:s.out])
			clear(c.gradWeightVar)
			clear(c.gradBiasVar)
		}
	}
}

// setInput sets the examples, and how uncertain they are.
func (p *pass) setInput(b *Batch, lo, hi int) {
	p.used = hi - lo
	for i := range p.states {
		p.states[i].setRows(p.used)
	}
	s := &p.states[0]
	s.form, p.dropped = certain, false
	for i := range p.used {
		copy(row(s.mean, i), row(b.X, lo+i))
	}
	switch n := s.n; {
	case b.InputCovariance.Data != nil && p.opts.Mode != Diagonal:
		s.form = full
		s.cov = resize(s.cov, p.rows*n*s.ld)
		for i := range p.used {
			c := row(b.InputCovariance, lo+i)
			for j := range n {
				r := s.cov[(i*n+j)*s.ld:][:s.ld]
				clear(r[copy(r, c[j*n:][:n]):])
			}
		}
		s.diagonalTo(s.variance, s.cov)
	case b.InputCovariance.Data != nil:
		s.form = diagonal
		for i := range p.used {
			v, c := row(s.variance, i), row(b.InputCovariance, lo+i)
			for j := range v {
				v[j] = c[j*(n+1)]
			}
			for j, x := range c {
				p.dropped = p.dropped || x != 0 && j%(n+1) != 0
			}
		}
	case b.InputVariance.Data != nil:
		s.form = diagonal
		for i := range p.used {
			copy(row(s.variance, i), row(b.InputVariance, lo+i))
		}
	}
}

var (
	gaussianClosure = covprop.ApproximatedBy(math.Inf(1), "Gaussian closure")
	gaussianOutputs = covprop.ApproximatedBy(math.Inf(1), "outputs taken as Gaussian")
	noCovariances   = covprop.ApproximatedBy(math.Inf(1), "covariances ignored")
)

// input is 0 for a certain input and 1 for an uncertain one.
func (p *pass) input() int {
	if p.states[0].form == certain {
		return 0
	}
	return 1
}

// outputAccuracy is that of what takes the outputs as Gaussian with the moments of the
// last state.
func (p *pass) outputAccuracy() covprop.Accuracy {
	if p.net.notGaussian[p.input()] {
		return p.acc.And(gaussianOutputs)
	}
	return p.acc
}

// forward computes all states. tails of the network that do not need
// covariances have none.
func (p *pass) forward() error {
	p.acc = covprop.Accuracy{}
	if p.dropped {
		p.acc = noCovariances
	}
	for i := range p.net.steps {
		s := &p.net.steps[i]
		in, out := &p.states[i], &p.states[i+1]
		switch s.kind {
		case linearStep:
			p.linearForward(i, in, out)
		case activationStep:
			if err := p.activationForward(i, in, out); err != nil {
				return fmt.Errorf("bayes: step %d (%s): %w", i, s.act.Name(), err)
			}
			if s.inexact[p.input()] {
				p.acc = p.acc.And(gaussianClosure)
			}
		case enterStep:
			p.enterForward(i, in, out)
		case leaveStep:
			p.leaveForward(i, in, out)
		}
	}
	return nil
}

// backward turns the gradient of the last state into that of all parameters,
// which it adds to grad: of means, and in the cache of variances.
func (p *pass) backward(grad []float64) {
	for i := len(p.net.steps) - 1; i >= 0; i-- {
		in, out := &p.states[i], &p.states[i+1]
		switch p.net.steps[i].kind {
		case linearStep:
			p.linearBackward(i, in, out, grad)
		case activationStep:
			p.activationBackward(i, in, out)
		case enterStep:
			p.enterBackward(i, in, out)
		case leaveStep:
			p.leaveBackward(i, in, out)
		}
	}
}

// finish adds the derivatives by log variances to grad, d/d log V = V d/dV.
func finish(n *Network, caches []cache, grad []float64) {
	for i := range n.steps {
		s, c := &n.steps[i], &caches[i]
		if s.kind != linearStep || !s.linear.uncertain {
			continue
		}
		for k, g := range c.gradWeightVar {
			grad[s.linear.weightLog+k] += c.weightVar[k] * g
		}
		for k, g := range c.gradBiasVar {
			grad[s.linear.biasLog+k] += c.biasVar[k] * g
		}
	}
}

// output is the last state.
func (p *pass) output() *state { return &p.states[len(p.states)-1] }

// seed makes room for the gradient of the last state and clears it. In diagonal
// form gradVariance is by the variances.
func (p *pass) seed() *state {
	s := p.output()
	for b := range p.used {
		clear(row(s.gradMean, b))
		clear(row(s.gradVariance, b))
	}
	if s.form == full {
		s.gradCov = resize(s.gradCov, p.rows*s.n*s.ld)
		clear(s.gradCov[:p.used*s.n*s.ld])
	}
	return s
}
