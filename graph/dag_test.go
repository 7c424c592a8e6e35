package graph_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/covprop/covprop"
	"github.com/covprop/covprop/activation"
	"github.com/covprop/covprop/graph"
	"github.com/covprop/covprop/layer"
)

// A dag is a random graph of tensors. The first ones are its inputs; node k
// makes the k-th after them.
type dag struct {
	inputs  int
	nodes   []dagNode
	outputs []int
	lens    []int // by tensor
	offset  []int // by tensor: where it starts in the vector of all tensors
}

type dagNode struct {
	rule layer.Rule
	in   []int
}

func (g *dag) tensors() int { return len(g.lens) }

// size is the length of the vector of all tensors.
func (g *dag) size() int {
	last := g.tensors() - 1
	return g.offset[last] + g.lens[last]
}

// tensor adds a tensor of length n.
func (g *dag) tensor(n int) {
	offset := 0
	if len(g.lens) > 0 {
		offset = g.size()
	}
	g.lens, g.offset = append(g.lens, n), append(g.offset, offset)
}

// node adds a node.
func (g *dag) node(r layer.Rule, in ...int) {
	g.tensor(r.OutputLen())
	g.nodes = append(g.nodes, dagNode{r, in})
}

// like returns a random tensor of length n; there must be one.
func (g *dag) like(rng *rand.Rand, n int) int {
	for {
		if t := rng.IntN(g.tensors()); g.lens[t] == n {
			return t
		}
	}
}

// plainDAG returns a random graph of few rules, all of one length, whose
// reference is independent mathematics.
func plainDAG(rng *rand.Rand) *dag {
	const n = 4
	g := &dag{}
	for range 1 + rng.IntN(3) {
		g.tensor(n)
	}
	g.inputs = g.tensors()
	for range 4 + rng.IntN(9) {
		a, b, c := rng.IntN(g.tensors()), rng.IntN(g.tensors()), rng.IntN(g.tensors())
		switch rng.IntN(14) {
		case 0, 1:
			g.node(randomAffine(rng, n, n), a)
		case 2:
			g.node(must(layer.NewAffine(normals(rng, 4), normals(rng, 2), 2, 2, 2, 1)), a)
		case 3:
			g.node(must(layer.NewAffine(normals(rng, 4), normals(rng, 2), 2, 2, 1, 2)), a)
		case 4:
			g.node(must(layer.NewScale(normals(rng, n), normals(rng, 1), n)), a)
		case 5:
			g.node(must(layer.NewSelect([]int{3, 0, 3, 1}, n)), a)
		case 6:
			g.node(must(layer.NewReshape(n)), a)
		case 7:
			g.node(must(layer.NewProduct(n)), a, b)
		case 8:
			g.node(must(layer.NewSum([]float64{1, -1}, n)), a, b)
		case 9:
			g.node(must(layer.NewSum([]float64{1, -1, .5}, n)), a, b, c)
		default:
			g.node(must(layer.NewElementwise(randomActivations(rng, n), n)), a)
		}
	}
	g.randomOutputs(rng)
	return g
}

// richDAG returns a random graph of all kinds of rules and of many lengths.
func richDAG(rng *rand.Rand) *dag {
	g := &dag{}
	for range 1 + rng.IntN(3) {
		g.tensor(1 + rng.IntN(6))
	}
	g.inputs = g.tensors()
	for nodes := 4 + rng.IntN(12); len(g.nodes) < nodes; {
		t := rng.IntN(g.tensors())
		switch n := g.lens[t]; rng.IntN(4) {
		case 0:
			g.node(must(layer.NewElementwise(randomActivations(rng, n), n)), t)
		case 1:
			g.nonlinearNode(rng, t, n)
		default:
			g.linearNode(rng, t, n)
		}
	}
	g.randomOutputs(rng)
	return g
}

func (g *dag) randomOutputs(rng *rand.Rand) {
	g.outputs = []int{g.tensors() - 1}
	for range rng.IntN(4) {
		g.outputs = append(g.outputs, rng.IntN(g.tensors()))
	}
}

// linearNode adds a linear node of tensor t, of length n, and perhaps others.
func (g *dag) linearNode(rng *rand.Rand, t, n int) {
	m := 1 + rng.IntN(6) // an output length
	half := n / 2
	switch rng.IntN(10) {
	case 0:
		g.node(randomAffine(rng, m, n), t)
	case 1:
		if n%2 == 0 {
			g.node(must(layer.NewAffine(normals(rng, 3*half), normals(rng, 3), 3, half, 1, 2)), t)
		}
	case 2:
		g.node(must(layer.NewScale(normals(rng, n), normals(rng, 1), n)), t)
	case 3:
		g.node(must(layer.NewSelect(integers(rng, m, n), n)), t)
	case 4:
		g.node(must(layer.NewReshape(n)), t)
	case 5: // of equal lengths, and so in place
		g.node(must(layer.NewConv(normals(rng, 2), nil, integers(rng, 2*n, n), 1, 1, 1, 1, n, 2)), t)
	case 6:
		if n%2 == 0 {
			g.node(must(layer.NewConv(normals(rng, 2*3*2), normals(rng, 3), integers(rng, 2*2, half), 1, 1, 3, 2, half, 2)), t)
		}
	case 7: // rows of two, one and no entries
		g.node(must(layer.NewSparse([]int{0, 2, 3, 3}, integers(rng, 3, n), normals(rng, 3), normals(rng, 3), n, 1, 1)), t)
	case 8:
		g.concat(rng, t, n)
	case 9:
		g.node(must(layer.NewSum([]float64{1, -.5, .7}, n)), t, g.like(rng, n), g.like(rng, n))
	}
}

// concat adds a concatenation of tensor t, of length n, with up to two tensors,
// which may be t again.
func (g *dag) concat(rng *rand.Rand, t, n int) {
	in, lens := []int{t}, []int{n}
	for range 2 {
		u := rng.IntN(g.tensors())
		if g.lens[u]+g.sum(in) <= 8 {
			in, lens = append(in, u), append(lens, g.lens[u])
		}
	}
	outer := 1
	if !slices.ContainsFunc(lens, func(n int) bool { return n%2 != 0 }) {
		outer = 2
		for i := range lens {
			lens[i] /= 2
		}
	}
	g.node(must(layer.NewConcat(outer, lens)), in...)
}

func (g *dag) sum(tensors []int) (n int) {
	for _, t := range tensors {
		n += g.lens[t]
	}
	return n
}

// nonlinearNode adds a nonlinear node of tensor t, of length n, and perhaps
// another.
func (g *dag) nonlinearNode(rng *rand.Rand, t, n int) {
	groups := 1
	if n%2 == 0 && n > 2 {
		groups = 1 + rng.IntN(2)
	}
	switch rng.IntN(6) {
	case 0:
		g.node(must(layer.NewProduct(n)), t, g.like(rng, n))
	case 1:
		pairs := make([][2]int, 1+rng.IntN(4))
		for k := range pairs {
			pairs[k] = [2]int(integers(rng, 2, n))
		}
		g.node(must(layer.NewMax(pairs, n)), t)
	case 2:
		g.node(must(layer.NewNorm(groups, n/groups, .2, n/groups > 1 && rng.IntN(2) == 0)), t)
	case 3:
		g.node(must(layer.NewSoftmax(groups, n/groups, rng.IntN(2) == 0)), t)
	case 4: // (1, n) times (n, m), the inner products and so on
		u := rng.IntN(g.tensors())
		if m := g.lens[u] / n; g.lens[u]%n == 0 {
			g.node(must(layer.NewMatProduct(1, 1, n, m)), t, u)
		} else if g.lens[u] <= 3 && n <= 3 {
			g.node(must(layer.NewMatProduct(1, n, 1, g.lens[u])), t, u)
		}
	case 5:
		u := rng.IntN(g.tensors())
		g.node(must(layer.NewLinearized("linearized", func(dst []float64, x ...[]float64) {
			dst[0] = math.Sin(x[0][0]) * x[1][0]
			dst[1] = math.Cos(x[0][0] + x[1][0])
		}, 2, n, g.lens[u])), t, u)
	}
}

func randomAffine(rng *rand.Rand, out, in int) layer.Rule {
	w := normals(rng, out*in)
	for i := range w {
		w[i] *= .5
	}
	return must(layer.NewAffine(w, normals(rng, out), out, in, 1, 1))
}

// integers returns m random numbers below n.
func integers(rng *rand.Rand, m, n int) []int {
	r := make([]int, m)
	for i := range r {
		r[i] = rng.IntN(n)
	}
	return r
}

func randomActivations(rng *rand.Rand, n int) []activation.Activation {
	all := []activation.Activation{
		activation.ReLU(), activation.Tanh(), activation.Sin(), activation.Square(), activation.GELU(),
		activation.Identity(), activation.LeakyReLU(.2), activation.Abs(),
	}
	acts := make([]activation.Activation, 1)
	if rng.IntN(3) == 0 {
		acts = make([]activation.Activation, n)
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
		ts = append(ts, must(b.Input(fmt.Sprint("x", i), []int{g.lens[i]})))
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

// TestRandomDAGs compares graphs in which tensors are shared, summed, repeated
// and skipped, with several inputs and outputs, with the reference, on one
// workspace and result. Twelve steps amplify the quadrature's 1e-13 and the
// series' 1e-12: 1e-8 of the standard deviations (and 1e-6 beside them, for
// differences of nearly equal numbers).
func TestRandomDAGs(t *testing.T) {
	compareDAGs(t, 8, plainDAG, (*dag).quadrature)
}

// TestRichDAGs is the same for all kinds of rules and tensors of many lengths.
// Here the reference takes the moments of one nonlinear step from its rule,
// which has tests of its own: this is about what the graph does with them.
func TestRichDAGs(t *testing.T) {
	compareDAGs(t, 100, richDAG, (*dag).series)
}

// compareDAGs compares random graphs with their references.
func compareDAGs(t *testing.T, seeds uint64, random func(*rand.Rand) *dag, activations func(*dag, joint, []int)) {
	const tol = 1e-8
	if testing.Short() {
		seeds = min(seeds, 4)
	}
	ws := graph.NewWorkspace()
	var res covprop.Result
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 99))
		g := random(rng)
		net := g.network().With(graph.Options{Tol: 1e-12, Threads: 1 + int(seed%2), KeepInput: seed%3 > 0})
		in := randomInput(rng, net.InputDim(), seed%4 == 0)
		if err := net.PropagateTo(context.Background(), &res, in, ws); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			continue
		}
		want := g.reference(in, activations)
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
			if d := math.Abs(res.Mean[i] - want.mean[i]); !(d <= tol/10*(1e-3+math.Abs(want.mean[i])+si)) {
				t.Errorf("seed %d: mean %d is %v, want %v", seed, i, res.Mean[i], want.mean[i])
			}
			for j := range want.mean {
				if j >= outputs && res.InputCov == nil {
					break
				}
				sj := math.Sqrt(want.cov.At(j, j))
				if d := math.Abs(at(i, j) - want.cov.At(i, j)); !(d <= tol*(si*sj+1e-6)) {
					t.Errorf("seed %d: covariance (%d,%d) is %v, want %v", seed, i, j, at(i, j), want.cov.At(i, j))
				}
			}
		}
	}
}

// randomInput returns n small uncertain elements, some of which are certain if
// they are independent, and perfectly correlated if they are not.
func randomInput(rng *rand.Rand, n int, diagonal bool) covprop.Gaussian {
	var cov covprop.Covariance
	if diagonal {
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
	return must(covprop.NewGaussian(normals(rng, n), cov))
}
