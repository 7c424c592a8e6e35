package reproduce

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/covprop/covprop/dataset"
)

// stripes returns pictures of a bright stripe among noise, at the height that
// the label says.
func stripes(n int, seed uint64) *dataset.Images {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := &dataset.Images{}
	for range n {
		label := rng.IntN(10)
		for i := range dataset.MNISTPixels {
			p := rng.IntN(80)
			if y := i / dataset.MNISTSide; y >= 4+2*label && y < 7+2*label {
				p += 120
			}
			d.Pixels = append(d.Pixels, byte(p))
		}
		d.Labels = append(d.Labels, byte(label))
	}
	return d
}

func TestTrainLearns(t *testing.T) {
	ctx := context.Background()
	data, fresh := stripes(4*minibatch+5, 1), stripes(200, 2)
	n := mustLeNet(t, 4)
	before, err := n.Accuracy(ctx, fresh, 2)
	if err != nil {
		t.Fatal(err)
	}
	var losses []float64
	steps := 0
	err = n.Train(ctx, data, TrainOptions{
		Epochs: 20, Seed: 1, Threads: 2,
		Epoch:    func(_ int, loss float64) { losses = append(losses, loss) },
		Progress: func(int, int) { steps++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := n.Accuracy(ctx, fresh, 2)
	if err != nil {
		t.Fatal(err)
	}
	// A guess is right in one of ten, with a standard error of 0.02; the
	// stripes overlap only in one row, and cannot be mistaken.
	if before > 0.3 || after < 0.95 {
		t.Errorf("the accuracy went from %v to %v", before, after)
	}
	if len(losses) != 20 || steps != 80 || losses[19] > 0.2*losses[0] {
		t.Errorf("after %d steps the losses of the epochs are %v", steps, losses)
	}
}

func TestTrainRepeats(t *testing.T) {
	data := stripes(2*minibatch, 1)
	trained := func(seed uint64, threads int) *LeNet {
		n := mustLeNet(t, 1)
		if err := n.Train(context.Background(), data, TrainOptions{Epochs: 2, Seed: seed, Threads: threads}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	one, three, other := trained(1, 1), trained(1, 3), trained(2, 1)
	if !slices.Equal(one.params, three.params) {
		t.Error("one thread and three give different networks")
	}
	if slices.Equal(one.params, other.params) {
		t.Error("two seeds give the same network")
	}
}

func TestTrainRefuses(t *testing.T) {
	n := mustLeNet(t, 1)
	err := n.Train(context.Background(), stripes(minibatch-1, 1), TrainOptions{Epochs: 1})
	if err == nil || !strings.Contains(err.Error(), "127 pictures are too few") {
		t.Errorf("too few pictures: %v", err)
	}
	err = n.Train(context.Background(), stripes(minibatch, 1), TrainOptions{})
	if err == nil || !strings.Contains(err.Error(), "epochs must be at least 1") {
		t.Errorf("no epoch: %v", err)
	}
	if _, err := n.Accuracy(context.Background(), &dataset.Images{}, 1); err == nil {
		t.Error("no pictures to test with: no error")
	}
	for _, w := range []int{0, -1, 33} {
		if _, err := NewLeNet(w, 1); err == nil {
			t.Errorf("width %d: no error", w)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = n.Train(ctx, stripes(minibatch, 1), TrainOptions{Epochs: 100, Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func BenchmarkTrainStep(b *testing.B) {
	data := noise(minibatch)
	for b.Loop() {
		n, err := NewLeNet(LeNetWidth, 1)
		if err != nil {
			b.Fatal(err)
		}
		if err := n.Train(context.Background(), data, TrainOptions{Epochs: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*minibatch), "us/picture")
}
