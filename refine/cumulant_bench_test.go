package refine

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/covprop/covprop"
)

// BenchmarkCumulant3 runs random ReLU networks of He's initialisation with an
// N(0, I) input and 32 outputs. ratio is the time relative to the moment
// method, factor that by which the mean squared error of the means falls, over
// four networks, and passes the operations relative to a forward pass.
func BenchmarkCumulant3(b *testing.B) {
	const outputs, nets = 32, 4
	for _, inputs := range []int{0, 10} { // 0: as many as units
		for _, depth := range []int{2, 4, 8} {
			for _, width := range []int{16, 32, 64, 128, 256} {
				if width == 256 && depth > 4 {
					continue
				}
				n := inputs
				if n == 0 {
					n = width
				}
				b.Run(fmt.Sprintf("width=%d/depth=%d/inputs=%d", width, depth, n), func(b *testing.B) {
					benchmarkCumulant3(b, nets, n, width, depth, outputs)
				})
			}
		}
	}
}

func benchmarkCumulant3(b *testing.B, nets uint64, inputs, width, depth, outputs int) {
	var of [2]struct {
		mse  float64
		time time.Duration
	}
	var passes, estimate float64
	refused := 0
	in := unitGaussian(inputs)
	for seed := range nets {
		net := heNet(b, seed, inputs, width, depth, outputs)
		c := Cumulant3{Network: net}
		if _, err := c.Propagate(b.Context(), in); err != nil {
			refused++
			continue
		}
		truth, se2 := sampledMeans(b, net, 1<<19)
		for k, p := range []covprop.Propagator{net, c} {
			best := time.Duration(math.MaxInt64)
			for range max(3, b.N) {
				start := time.Now()
				res, err := p.Propagate(b.Context(), in)
				if err != nil {
					b.Fatal(err)
				}
				best = min(best, time.Since(start))
				if k == 1 {
					estimate = max(estimate, res.Accuracy.Bound)
				}
				of[k].mse += (meanSquare(res.Mean, truth) - se2) / float64(max(3, b.N))
			}
			of[k].time += best
		}
		passes = float64(c.PropagationOperations(true)) / float64(net.Operations())
	}
	b.ReportMetric(float64(refused), "refused")
	if kept := float64(int(nets) - refused); kept > 0 {
		b.ReportMetric(of[0].mse/kept, "mse-moment")
		b.ReportMetric(of[1].mse/kept, "mse-cumulant3")
		b.ReportMetric(of[0].mse/of[1].mse, "factor")
		b.ReportMetric(float64(of[1].time)/float64(of[0].time), "ratio")
		b.ReportMetric(passes, "passes")
		b.ReportMetric(estimate, "estimate")
	}
}
