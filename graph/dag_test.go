package graph_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/internal/ref"
	"github.com/covprop/covprop/layer"
)

// A dag is a random graph of tensors of length dagLen. Tensors 0 to inputs-1
// are its inputs; node k makes tensor inputs+k.
type dag struct {
	inputs  int
	nodes   []dagNode
	outputs []int
}

type dagNode struct {
	rule layer.Rule
	in   []int
}

const dagLen = 4

func (g *dag) tensors() int { return g.inputs + len(g.nodes) }

func randomDAG(rng *rand.Rand) *dag {
	g := &dag{inputs: 1 + rng.IntN(3)}
	pick := func() int { return rng.IntN(g.tensors()) }
	for range 4 + rng.IntN(9) {
		d := dagNode{in: []int{pick()}}
		switch rng.IntN(14) {
		case 0, 1:
			w := normals(rng, dagLen*dagLen)
			for i := range w {
				w[i] *= .5
			}
			d.rule = must(layer.NewAffine(w, normals(rng, dagLen), dagLen, dagLen, 1, 1))
		case 2:
			d.rule = must(layer.NewAffine(normals(rng, 4), normals(rng, 2), 2, 2, 2, 1))
		case 3:
			d.rule = must(layer.NewAffine(normals(rng, 4), normals(rng, 2), 2, 2, 1, 2))
		case 4:
			d.rule = must(layer.NewScale(normals(rng, dagLen), normals(rng, 1), dagLen))
		case 5:
			d.rule = must(layer.NewSelect([]int{3, 0, 3, 1}, dagLen))
		case 6:
			d.rule = must(layer.NewReshape(dagLen))
		case 7:
			d.in = append(d.in, pick())
			d.rule = must(layer.NewProduct(dagLen))
		case 8, 9:
			coef := []float64{1, -1, .5}[:2+rng.IntN(2)]
			for range len(coef) - 1 {
				d.in = append(d.in, pick())
			}
			d.rule = must(layer.NewSum(coef, dagLen))
		default:
			d.rule = must(layer.NewElementwise(randomActivations(rng), dagLen))
		}
		g.nodes = append(g.nodes, d)
	}
	g.outputs = []int{g.tensors() - 1}
	for range rng.IntN(4) {
		g.outputs = append(g.outputs, pick())
	}
	return g
}

func randomActivations(rng *rand.Rand) []activation.Activation {
	all := []activation.Activation{
		activation.ReLU(), activation.Tanh(), activation.Sin(), activation.Square(), activation.GELU(),
		activation.Identity(), activation.LeakyReLU(.2), activation.Abs(),
	}
	acts := make([]activation.Activation, 1)
	if rng.IntN(3) == 0 {
		acts = make([]activation.Activation, dagLen)
	}
	for i := range acts {
		acts[i] = all[rng.IntN(len(all))]
	}
	return acts
}

func (g *dag) network() *graph.Network {
	b := builder{graph.NewBuilder()}
	var ts []graph.Tensor
	for i := range g.inputs {
		ts = append(ts, must(b.Input(fmt.Sprint("x", i), []int{dagLen})))
	}
	for _, d := range g.nodes {
		var in []graph.Tensor
		for _, t := range d.in {
			in = append(in, ts[t])
		}
		ts = append(ts, b.add(fmt.Sprint("t", len(ts)), d.rule, in...))
	}
	var outputs []graph.Tensor
	for _, t := range g.outputs {
		outputs = append(outputs, ts[t])
	}
	return b.build(outputs...)
}

// joint is the reference: the mean and covariance of all tensors made so far,
// in one matrix from which nothing is dropped.
type joint struct {
	mean []float64
	cov  *mat.Dense
}

// reference returns the joint moments of outputs and inputs. It propagates with the same schedule and closure, but by definition:
// linear maps found from Forward, moments of activations by quadrature.
func (g *dag) reference(in covprop.Gaussian) joint {
	n := g.tensors() * dagLen
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
	ready := func(kind string) (nodes []int) {
	next:
		for k, d := range g.nodes {
			is := "linear"
			switch d.rule.(type) {
			case *layer.Elementwise:
				is = "elementwise"
			case *layer.Product:
				is = "product"
			}
			if is != kind || made[g.inputs+k] || !needed[g.inputs+k] {
				continue
			}
			for _, t := range d.in {
				if !made[t] {
					continue next
				}
			}
			nodes = append(nodes, k)
		}
		return nodes
	}
	for {
		if nodes := ready("linear"); nodes != nil {
			g.linear(s, nodes[0])
			made[g.inputs+nodes[0]] = true
			continue
		}
		nodes := ready("elementwise")
		if nodes == nil {
			if nodes = ready("product"); nodes != nil {
				g.product(s, nodes[0])
				made[g.inputs+nodes[0]] = true
				continue
			}
			tensors := slices.Clone(g.outputs)
			for i := range g.inputs {
				tensors = append(tensors, i)
			}
			return s.part(tensors)
		}
		g.elementwise(s, nodes)
		for _, k := range nodes {
			made[g.inputs+k] = true
		}
	}
}

// linear adds the tensor of a linear node, y = A z + b for the joint vector z.
func (g *dag) linear(s joint, k int) {
	d, y := g.nodes[k], (g.inputs+k)*dagLen
	args := make([][]float64, len(d.in))
	for i := range args {
		args[i] = make([]float64, dagLen)
	}
	b, col := make([]float64, dagLen), make([]float64, dagLen)
	d.rule.Forward(b, args...)
	a := mat.NewDense(dagLen, len(s.mean), nil)
	for i, t := range d.in {
		for j := range dagLen {
			args[i][j] = 1
			d.rule.Forward(col, args...)
			args[i][j] = 0
			for r := range dagLen {
				a.Set(r, t*dagLen+j, a.At(r, t*dagLen+j)+col[r]-b[r])
			}
		}
	}
	var mean mat.VecDense
	mean.MulVec(a, mat.NewVecDense(len(s.mean), s.mean))
	var cross, self mat.Dense
	cross.Mul(a, s.cov)
	self.Mul(&cross, a.T())
	for i := range dagLen {
		s.mean[y+i] = mean.AtVec(i) + b[i]
		for j := range s.mean {
			s.set(y+i, j, cross.At(i, j))
		}
	}
	for i := range dagLen {
		for j := range dagLen {
			s.cov.Set(y+i, y+j, self.At(i, j))
		}
	}
}

// elementwise adds the tensors of a step of elementwise nodes.
func (g *dag) elementwise(s joint, nodes []int) {
	type unit struct {
		x, y int // indices into the joint vector
		a    activation.Activation
		sd   float64 // of the input
	}
	var units []unit
	isNew := make([]bool, len(s.mean))
	for _, k := range nodes {
		e := g.nodes[k].rule.(*layer.Elementwise)
		for i := range dagLen {
			x, y := g.nodes[k].in[0]*dagLen+i, (g.inputs+k)*dagLen+i
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

// product adds the tensor of a product y_i = a_i b_i (Isserlis 1918).
func (g *dag) product(s joint, k int) {
	d, y := g.nodes[k], (g.inputs+k)*dagLen
	for i := range dagLen {
		a, b := d.in[0]*dagLen+i, d.in[1]*dagLen+i
		s.mean[y+i] = s.mean[a]*s.mean[b] + s.cov.At(a, b)
		for j := range s.mean {
			if j < y || j >= y+dagLen {
				s.set(y+i, j, s.mean[a]*s.cov.At(b, j)+s.mean[b]*s.cov.At(a, j))
			}
		}
	}
	for i := range dagLen {
		a, b := d.in[0]*dagLen+i, d.in[1]*dagLen+i
		for j := range dagLen {
			p, q := d.in[0]*dagLen+j, d.in[1]*dagLen+j
			m, c := s.mean, s.cov
			s.cov.Set(y+i, y+j, m[a]*m[p]*c.At(b, q)+m[a]*m[q]*c.At(b, p)+m[b]*m[p]*c.At(a, q)+m[b]*m[q]*c.At(a, p)+
				c.At(a, p)*c.At(b, q)+c.At(a, q)*c.At(b, p))
		}
	}
}

func (s joint) set(i, j int, v float64) {
	s.cov.Set(i, j, v)
	s.cov.Set(j, i, v)
}

// part returns the moments of some tensors.
func (s joint) part(tensors []int) joint {
	n := len(tensors) * dagLen
	r := joint{make([]float64, n), mat.NewDense(n, n, nil)}
	at := func(i int) int { return tensors[i/dagLen]*dagLen + i%dagLen }
	for i := range n {
		r.mean[i] = s.mean[at(i)]
		for j := range n {
			r.cov.Set(i, j, s.cov.At(at(i), at(j)))
		}
	}
	return r
}

// TestRandomDAGs compares graphs in which tensors are shared, summed, repeated
// and skipped, with several inputs and outputs, with the reference, on one
// workspace and result. Twelve steps amplify the quadrature's 1e-13 and the
// series' 1e-12: 1e-8 of the standard deviations (and 1e-6 beside them, for
// differences of nearly equal numbers).
func TestRandomDAGs(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 4
	}
	ws := graph.NewWorkspace()
	var res covprop.Result
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 99))
		g := randomDAG(rng)
		net := g.network().With(graph.Options{Tol: 1e-12, Threads: 1 + int(seed%2), KeepInput: seed%3 > 0})
		n := net.InputDim()
		var cov covprop.Covariance
		if seed%4 == 0 {
			std := make([]float64, n)
			for i := range std {
				std[i] = .3 * rng.Float64() * float64(rng.IntN(3))
			}
			cov = must(covprop.NewDiagonal(std))
		} else {
			c := randomCov(rng, n, 1+rng.IntN(n)).RawMatrix()
			for i := range c.Data {
				c.Data[i] *= .1
			}
			cov = covprop.DenseOf(c)
		}
		in := must(covprop.NewGaussian(normals(rng, n), cov))
		if err := net.PropagateTo(context.Background(), &res, in, ws); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		want := g.reference(in)
		outputs := net.OutputDim()
		if (res.InputCov != nil) != (seed%3 > 0) {
			t.Errorf("seed %d: the covariance with the input is %v", seed, res.InputCov)
		}
		at := func(i, j int) float64 {
			if j < outputs {
				return res.Cov.At(i, j)
			}
			return res.InputCov.At(i, j-outputs)
		}
		for i := range outputs {
			si := math.Sqrt(want.cov.At(i, i))
			if d := math.Abs(res.Mean[i] - want.mean[i]); !(d <= 1e-9*(1e-3+math.Abs(want.mean[i])+si)) {
				t.Errorf("seed %d: mean %d is %v, want %v", seed, i, res.Mean[i], want.mean[i])
			}
			for j := range want.mean {
				if j >= outputs && res.InputCov == nil {
					break
				}
				sj := math.Sqrt(want.cov.At(j, j))
				if d := math.Abs(at(i, j) - want.cov.At(i, j)); !(d <= 1e-8*(si*sj+1e-6)) {
					t.Errorf("seed %d: covariance (%d,%d) is %v, want %v", seed, i, j, at(i, j), want.cov.At(i, j))
				}
			}
		}
	}
}
