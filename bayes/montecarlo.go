package bayes

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
)

// Monte Carlo by local reparameterisation (Kingma, Salimans & Welling 2015): not
// the weights are drawn but what they make, for every example and sample
//
//	y = M x + m + s o epsilon,   s^2 = V (x o x) + v,   epsilon ~ N(0, I),
//
// which has less variance than weights that are drawn once. With a bar for the
// derivative of the loss and t = y o epsilon/(2 s),
//
//	x += M' y + 2 x o (V' t),   M += y x',   m += y,   V += t (x o x)',   v += t.
//
// What does not depend on the sample is computed once: a state is shared until
// the first random number.

// A sampler is a pass of samples.
type sampler struct {
	net              *Network
	examples, number int // room for examples, and samples of each
	used             int // examples in use
	states           []sampleState
	cache            []cache
	noise            []sampleNoise // by step
	theta            []float64
	rng              *rand.Rand
	source           *rand.PCG
	factor, normal   []float64
	turned           []float64
}

// A sampleState is the values between two steps, one sample a row, those of an
// example side by side; if shared is set, one row an example.
type sampleState struct {
	n, ld       int
	shared      bool
	value, grad blas64.General
}

// sampleNoise is what a linear step drew.
type sampleNoise struct {
	epsilon       blas64.General // (samples, out)
	s, slope, sum blas64.General // (rows of the input, out): s, t, and y summed over the samples of a row
}

func newSampler(n *Network, examples int, o Options, source *rand.PCG) *sampler {
	p := &sampler{
		net: n, examples: examples, number: o.Samples, states: make([]sampleState, len(n.steps)+1),
		cache: newCaches(n, examples*o.Samples), noise: make([]sampleNoise, len(n.steps)),
		rng: rand.New(source), source: source,
	}
	rows := examples * o.Samples
	p.states[0].init(n.inputs, rows)
	for i := range n.steps {
		s := &n.steps[i]
		p.states[i+1].init(s.out, rows)
		if s.kind == linearStep && s.linear.uncertain {
			z := &p.noise[i]
			for _, m := range [...]*blas64.General{&z.epsilon, &z.s, &z.slope, &z.sum} {
				*m = matrix(make([]float64, rows*s.out), rows, s.out, s.out)
			}
		}
	}
	return p
}

func (s *sampleState) init(n, rows int) {
	s.n, s.ld = n, roundUp(n)
	s.value = matrix(make([]float64, rows*s.ld), rows, n, s.ld)
	s.grad = matrix(make([]float64, rows*s.ld), rows, n, s.ld)
}

// setShared says how many rows s has.
func (p *sampler) setShared(s *sampleState, shared bool) {
	s.shared = shared
	rows := p.used
	if !shared {
		rows *= p.number
	}
	s.value.Rows, s.grad.Rows = rows, rows
}

// setInput sets examples lo to hi, and draws the inputs that are uncertain.
func (p *sampler) setInput(b *Batch, lo, hi int) {
	p.used = hi - lo
	s := &p.states[0]
	certain := b.InputVariance.Data == nil && b.InputCovariance.Data == nil
	p.setShared(s, certain)
	if certain {
		for i := range p.used {
			copy(row(s.value, i), row(b.X, lo+i))
		}
		return
	}
	n := s.n
	p.factor, p.normal = resize(p.factor, n*n), resize(p.normal, n)
	for i := range p.used {
		x := row(b.X, lo+i)
		if b.InputCovariance.Data != nil {
			choleskyTo(p.factor, row(b.InputCovariance, lo+i), n)
		}
		for k := range p.number {
			v := row(s.value, i*p.number+k)
			copy(v, x)
			for j := range p.normal {
				p.normal[j] = p.rng.NormFloat64()
			}
			if b.InputCovariance.Data == nil {
				for j, z := range p.normal {
					v[j] += math.Sqrt(b.InputVariance.Data[(lo+i)*b.InputVariance.Stride+j]) * z
				}
				continue
			}
			for j := range v {
				for l, z := range p.normal[:j+1] {
					v[j] += p.factor[j*n+l] * z
				}
			}
		}
	}
}

// choleskyTo writes the lower triangular L with L L' = c, (n, n), to dst. Where c is
// singular, and so a pivot is at most rounding, the column is 0.
func choleskyTo(dst, c []float64, n int) {
	for j := range n {
		for i := j; i < n; i++ {
			sum := c[i*n+j]
			for k := range j {
				sum -= dst[i*n+k] * dst[j*n+k]
			}
			switch pivot := dst[j*n+j]; {
			case i == j && sum > 1e-13*c[i*n+i]:
				dst[i*n+i] = math.Sqrt(sum)
			case i == j:
				dst[i*n+i] = 0
			case pivot > 0:
				dst[i*n+j] = sum / pivot
			default:
				dst[i*n+j] = 0
			}
		}
	}
}

// forward computes all states.
func (p *sampler) forward() {
	for i := range p.net.steps {
		s := &p.net.steps[i]
		in, out := &p.states[i], &p.states[i+1]
		switch s.kind {
		case linearStep:
			p.linearForward(i, in, out)
		case activationStep:
			p.setShared(out, in.shared)
			for r := range in.value.Rows {
				y := row(out.value, r)
				activation.ApplyTo(s.act.Activation, y, row(in.value, r))
			}
		case enterStep:
			p.setShared(out, in.shared)
			copyRows(out.value, in.value)
		case leaveStep:
			p.setShared(out, in.shared)
			copyRows(out.value, in.value)
			p.addShared(out.value, &p.states[s.enter])
		}
	}
}

// addShared adds the rows of s to those of dst, which has as many or one for
// each sample.
func (p *sampler) addShared(dst blas64.General, s *sampleState) {
	each := dst.Rows / s.value.Rows
	for r := range dst.Rows {
		addTo(row(dst, r), row(s.value, r/each))
	}
}

func (p *sampler) linearForward(i int, in, out *sampleState) {
	s, c, z := &p.net.steps[i], &p.cache[i], &p.noise[i]
	l := &s.linear
	m, bias := matrix(p.theta[l.weight:], s.out, s.in, s.in), p.theta[l.bias:][:s.out]
	if !l.uncertain {
		p.setShared(out, in.shared)
		mulTransTo(out.value, in.value, m, false)
		addRow(out.value, bias)
		return
	}
	rows := in.value.Rows
	c.moment.Rows, z.s.Rows, z.sum.Rows, z.slope.Rows = rows, rows, rows, rows
	for r := range rows {
		w := row(c.moment, r)
		for k, x := range row(in.value, r) {
			w[k] = x * x
		}
	}
	mulTransTo(z.s, c.moment, matrix(c.weightVar, s.out, s.in, s.in), false)
	for r := range rows {
		w := row(z.s, r)
		for k, v := range c.biasVar {
			w[k] = math.Sqrt(w[k] + v)
		}
	}
	// The means of shared rows wait in sum.
	mean := z.sum
	mulTransTo(mean, in.value, m, false)
	addRow(mean, bias)
	p.setShared(out, false)
	each := out.value.Rows / rows
	for r := range out.value.Rows {
		y, e, s, m := row(out.value, r), row(z.epsilon, r), row(z.s, r/each), row(mean, r/each)
		for k := range y {
			e[k] = p.rng.NormFloat64()
			y[k] = m[k] + s[k]*e[k]
		}
	}
}

// backward turns the gradient of the last state into that of the parameters, and
// adds it.
func (p *sampler) backward(grad []float64) {
	for i := len(p.net.steps) - 1; i >= 0; i-- {
		s := &p.net.steps[i]
		in, out := &p.states[i], &p.states[i+1]
		switch s.kind {
		case linearStep:
			p.linearBackward(i, in, out, grad)
		case activationStep:
			for r := range in.value.Rows {
				g, y := row(in.grad, r), row(out.grad, r)
				slopeTo(&s.act, g, row(in.value, r))
				for k, x := range y {
					g[k] *= x
				}
			}
		case enterStep:
			addRows(in.grad, out.grad)
		case leaveStep:
			copyRows(in.grad, out.grad)
			p.sumShared(p.states[s.enter].grad, out.grad)
		}
	}
}

// sumShared makes every row of dst the sum of the rows of src that came from it.
func (p *sampler) sumShared(dst, src blas64.General) {
	each := src.Rows / dst.Rows
	for r := range src.Rows {
		d := row(dst, r/each)
		if r%each == 0 {
			clear(d)
		}
		addTo(d, row(src, r))
	}
}

func (p *sampler) linearBackward(i int, in, out *sampleState, grad []float64) {
	s, c, z := &p.net.steps[i], &p.cache[i], &p.noise[i]
	l := &s.linear
	m, gm := matrix(p.theta[l.weight:], s.out, s.in, s.in), matrix(grad[l.weight:], s.out, s.in, s.in)
	g := out.grad
	if l.uncertain {
		p.noiseBackward(z, out)
		g = z.sum
		addColumnSums(c.gradBiasVar, z.slope)
		addProduct(&p.turned, matrix(c.gradWeightVar, s.out, s.in, s.in), z.slope, c.moment)
	}
	addColumnSums(grad[l.bias:][:s.out], g)
	addProduct(&p.turned, gm, g, in.value)
	if i == 0 {
		return
	}
	if l.uncertain {
		mulTo(in.grad, z.slope, matrix(c.weightVar, s.out, s.in, s.in), false)
		for r := range in.grad.Rows {
			y := row(in.grad, r)
			for k, x := range row(in.value, r) {
				y[k] *= 2 * x
			}
		}
	}
	mulTo(in.grad, g, m, l.uncertain)
}

// noiseBackward sums the gradients of the samples that share a row: those by the
// mean, y, and by s^2, t = y epsilon/(2 s).
func (p *sampler) noiseBackward(z *sampleNoise, out *sampleState) {
	each := out.grad.Rows / z.s.Rows
	for r := range out.grad.Rows {
		t, sum := row(z.slope, r/each), row(z.sum, r/each)
		if r%each == 0 {
			clear(t)
			clear(sum)
		}
		e, s := row(z.epsilon, r), row(z.s, r/each)
		for k, y := range row(out.grad, r) {
			sum[k] += y
			if s[k] > 0 {
				t[k] += y * e[k] / (2 * s[k])
			}
		}
	}
}

// slopeTo writes g'(x).
func slopeTo(e *elementwise, dst, x []float64) {
	p := &e.pieces
	for k, v := range x {
		if !e.linear || p.Knots > 0 && (v == p.At[0] || p.Knots > 1 && v == p.At[1]) {
			dst[k] = e.Derivative(v)
			continue
		}
		piece := 0
		for t := range p.Knots {
			if v > p.At[t] {
				piece = t + 1
			}
		}
		dst[k] = p.Slope[piece]
	}
}

// sample computes the expected log likelihood by samples, and its gradient.
func (o *Objective) sample(l *Loss, grad, theta []float64, b *Batch) error {
	m, number := o.model, o.opts.Samples
	if examples := min(b.X.Rows, max(1, passRows(m.network, false)/number)); o.mc == nil || o.mc.examples < examples {
		source := rand.NewPCG(o.opts.Seed, sampleStream)
		if o.mc != nil { // a larger one goes on where the smaller one was
			source = o.mc.source
		}
		o.mc = newSampler(m.network, examples, o.opts, source)
	}
	p := o.mc
	p.theta = theta
	prepare(m.network, p.cache, theta)
	noise := theta[m.network.size:]
	o.setNoise(grad)
	out := &p.states[len(p.states)-1]
	for lo := 0; lo < b.X.Rows; lo += p.examples {
		hi := min(b.X.Rows, lo+p.examples)
		p.setInput(b, lo, hi)
		p.forward()
		each := 1 / (float64(b.X.Rows) * float64(out.value.Rows/p.used))
		for r := range out.value.Rows {
			g := row(out.grad, r)
			clear(g)
			y := row(b.Y, lo+r*p.used/out.value.Rows)
			l.LogLikelihood += each * m.likelihood.pointwise(g, o.out.gradNoise, row(out.value, r), y, noise, -each)
			o.weigh(row(out.value, r), g)
		}
		if grad != nil {
			p.backward(grad)
		}
	}
	if grad != nil {
		finish(m.network, p.cache, grad)
	}
	l.Accuracy = covprop.ApproximatedBy(math.Inf(1), "Monte Carlo")
	return nil
}

// Reseed makes the samples of MonteCarlo that follow those of another seed. The
// other modes draw none.
func (o *Objective) Reseed(seed uint64) {
	o.opts.Seed = seed
	if o.mc != nil {
		o.mc.source.Seed(seed, sampleStream)
	}
}

// sampleStream tells the random numbers of samples from others with their seed.
const sampleStream = 0x6d6f6e74652e6361
