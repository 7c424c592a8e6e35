package activation

import (
	"math"
	"slices"
	"sync"

	"github.com/covprop/covprop/internal/kernel"
	"github.com/covprop/covprop/internal/special"
)

// The moments of an analytic function by the trapezoidal rule,
//
//	E[d(Z) He_k(Z)]/sqrt(k!) = s sum_i d(i s) He_k(i s) phi(i s)/sqrt(k!),
//
// which converges geometrically (Trefethen & Weideman 2014, DOI
// 10.1137/130932132). Its nodes are the same for every mean and standard
// deviation, so that the Hermite functions come from a table and what is left
// of a unit is d at the nodes and a product with that table. Since He_k is even
// or odd, half of the table will do, for the sums and differences of d(+-i s).

// A sweeper is a formula that is analytic within its strip and evaluates its
// differences at equidistant points.
type sweeper interface {
	formula
	// sweep writes g(mu + i step) - g(mu) to s.plus[i] and g(mu - i step) -
	// g(mu) to s.minus[i] for i >= 1, and the sum of their sizes to s.size[i].
	// It returns false where it has no room for the numbers between.
	sweep(s *sweeping, mu, step float64) bool
}

// Limits of the grids.
const (
	gridReach = 16              // of the nodes, in z
	gridOrder = kernel.MaxOrder // the last coefficient in the tables
	// gridLanes is the coefficients of one parity, and room for vectors.
	gridLanes = (gridOrder/2 + kernel.LaneStep - 1) / kernel.LaneStep * kernel.LaneStep

	// gridDigits is how far, as a power of e, the rule at twice the step has to
	// converge: 1e-8, so that the rule itself has the square.
	gridDigits = 18.4
	// gridError is the largest estimate that is good enough; panels go on from
	// there.
	gridError = 1e-15
	// gridRange is where the square of the scale is an ordinary number.
	gridRange = 0x1p400
)

// gridNodes are the nodes in a unit of z, 1/step.
var gridNodes = [...]int{2, 5, 8, 16}

// gridSize is the largest number of nodes of a grid.
const gridSize = gridReach*16 + 1

var grids = [len(gridNodes)]func() *grid{
	sync.OnceValue(func() *grid { return newGrid(gridNodes[0]) }),
	sync.OnceValue(func() *grid { return newGrid(gridNodes[1]) }),
	sync.OnceValue(func() *grid { return newGrid(gridNodes[2]) }),
	sync.OnceValue(func() *grid { return newGrid(gridNodes[3]) }),
}

// A grid is the nodes z_i = i step, 0 <= i < n, and w_i = step phi(z_i).
type grid struct {
	step   float64
	n      int
	w      []float64
	tables [2]kernel.Lanes // (n, gridLanes): w_i He_k(z_i)/sqrt(k!), k = 1, 3, ... and 2, 4, ...
}

func newGrid(nodes int) *grid {
	n, step := gridReach*nodes+1, 1/float64(nodes)
	g := &grid{step: step, n: n, w: make([]float64, n)}
	for j := range g.tables {
		g.tables[j] = kernel.Lanes{Data: make([]float64, n*gridLanes), Stride: gridLanes}
	}
	var he [gridOrder + 1]float64
	for i := range n {
		special.ScaledHermite(he[:], float64(i)/float64(nodes))
		g.w[i] = step * he[0]
		for k := 1; k < len(he); k++ {
			j := k - 1
			g.tables[j%2].Data[i*gridLanes+j/2] = step * he[k]
		}
	}
	return g
}

// sweeping is the work space of one unit.
type sweeping struct {
	plus, minus, size []float64         // what sweep is to fill
	growth            [gridSize]float64 // e^(i step) - 1, for sweep
	memory            [3][gridSize]float64
	parts             [2][gridSize]float64 // odd and even
	sums              [2][gridLanes]float64
}

var sweepPool = sync.Pool{New: func() any { return new(sweeping) }}

// gridLevel returns the first of the grids that is fine enough for coefficients
// below h_n of a function with its nearest singularity at the distance y.
//
// The rule errs by what the Fourier transform of the integrand has beyond the
// frequency 2 pi/s. That of He_k phi/sqrt(k!) is near exp(-(t-sqrt(k))^2) for
// t > sqrt(k), that of the function falls like exp(-y t), and their convolution
// at t is below exp(-D) from
//
//	t = sqrt(k) + y/4 + D/y    or, with y > 2 sqrt(D),    sqrt(k) + sqrt(D)
//
// on, which 2s has to meet with D = gridDigits.
func gridLevel(n int, y float64) int {
	t := math.Sqrt(float64(n))
	if root := math.Sqrt(gridDigits); y > 2*root {
		t += root
	} else {
		t += y/4 + gridDigits/y
	}
	for level, nodes := range gridNodes {
		if t <= math.Pi*float64(nodes) {
			return level
		}
	}
	return len(grids)
}

// onGrid is integrateMarginal for a sweeper, where a grid suffices.
func onGrid(f sweeper, h []float64, mu, sigma float64) (m moments, ok bool) {
	if len(h) > gridOrder+1 {
		return m, false
	}
	s := sweepPool.Get().(*sweeping)
	defer sweepPool.Put(s)
	for level := gridLevel(len(h), f.strip()/sigma); level < len(grids) && !ok; level++ {
		g := grids[level]()
		s.plus, s.minus, s.size = s.memory[0][:g.n], s.memory[1][:g.n], s.memory[2][:g.n]
		if !f.sweep(s, mu, sigma*g.step) {
			return m, false
		}
		s.plus[0], s.minus[0], s.size[0] = 0, 0, 0
		m, ok = g.moments(s, h)
	}
	if ok && len(h) > 0 {
		h[0] = f.Apply(mu) + m.shift
	}
	return m, ok
}

// moments computes mean, variance and h_1 ... from the differences, and reports
// whether they are as good as those of panels: the range sufficed, and the rule
// has converged.
func (g *grid) moments(s *sweeping, h []float64) (m moments, ok bool) {
	mean, coarse := g.mean(s)
	odd, even := s.parts[0][:g.n], s.parts[1][:g.n]
	var v, size2 [2]float64 // of the even nodes, and of the odd
	for i, w := range g.w {
		p, q, size := s.plus[i]-mean, s.minus[i]-mean, s.size[i]
		if i == 0 {
			q = 0 // one node, not two
		}
		odd[i], even[i] = p-q, p+q
		v[i%2] += w * (p*p + q*q)
		size2[i%2] += w * size * size
	}
	odd[0] = 0
	m = moments{shift: mean, variance: v[0] + v[1]}
	scale := math.Sqrt(m.variance)
	if !(1/gridRange < scale && scale < gridRange) || g.edge(s) > negligible*scale {
		return m, false
	}
	missing := max(math.Abs(coarse-mean)/scale, math.Abs(v[0]-v[1])/m.variance)
	if len(h) > 1 {
		missing = max(missing, g.coefficients(s, h)/scale)
	}
	// The error is about the square of that at twice the step. The factor 100
	// is room for functions that have less of it than the Gaussian.
	missing *= 100 * missing
	m.estimate = missing + epsilon*(4+math.Sqrt(size2[0]+size2[1])/scale)
	return m, missing <= gridError
}

// mean returns the mean, and that of the rule with twice the step.
func (g *grid) mean(s *sweeping) (mean, coarse float64) {
	var sum [2]float64
	for i, w := range g.w {
		sum[i%2] += w * (s.plus[i] + s.minus[i])
	}
	return sum[0] + sum[1], 2 * sum[0]
}

// edge bounds, by the Cramer inequality of [panels], what the last nodes may
// contribute to a coefficient.
func (g *grid) edge(s *sweeping) float64 {
	last := g.n - 1
	const root = 1.6038108905486378e-28 // exp(-gridReach^2/4)
	return root * max(math.Abs(s.plus[last]), math.Abs(s.minus[last]))
}

// coefficients writes h_1, h_2, ... and returns the largest difference of the
// last two of them from the rule with twice the step.
func (g *grid) coefficients(s *sweeping, h []float64) (missing float64) {
	for j := range s.sums {
		lanes := (len(h) - j) / 2
		if lanes == 0 {
			continue
		}
		y := kernel.Lanes{Data: s.sums[j][:], Stride: gridLanes}
		x := kernel.Lanes{Data: s.parts[j][:g.n], Stride: 1}
		kernel.TapsTo(y, g.tables[j], x, firstTap, g.n, 1, lanes)
		for l, c := range s.sums[j][:lanes] {
			h[1+j+2*l] = c
		}
		coarse := 0.0
		for i := 0; i < g.n; i += 2 {
			coarse += s.parts[j][i] * g.tables[j].Data[i*gridLanes+lanes-1]
		}
		missing = max(missing, math.Abs(2*coarse-s.sums[j][lanes-1]))
	}
	return missing
}

var firstTap = slices.Clip([]int{0})
