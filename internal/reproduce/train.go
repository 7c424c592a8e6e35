package reproduce

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"

	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/kernel"
)

const (
	// shard is the number of pictures in one pass, minibatch that in one step.
	// The gradient of a step is the sum of those of its shards, in their order,
	// so the result does not depend on the number of threads.
	shard     = 32
	minibatch = 4 * shard
)

// TrainOptions choose how a LeNet is trained. Epochs must be at least 1.
type TrainOptions struct {
	Epochs  int
	Seed    uint64 // of the order of the pictures
	Threads int    // zero means all processors
	// Progress, if set, is called after every step.
	Progress func(done, total int)
	// Epoch, if set, is called after every epoch with the mean cross-entropy
	// of its steps, each before the step was taken.
	Epoch func(epoch int, loss float64)
}

// Train fits the parameters to labelled pictures: softmax cross-entropy,
// minibatches of 128 in random order, Adam at a rate that falls linearly from
// 0.001 to 0. What does not fill a minibatch is left out of an epoch. A seed
// gives the same network for any number of threads.
func (n *LeNet) Train(ctx context.Context, data *dataset.Images, o TrainOptions) error {
	perEpoch := data.Len() / minibatch
	switch {
	case o.Epochs < 1:
		return fmt.Errorf("the number of epochs must be at least 1, not %d", o.Epochs)
	case perEpoch < 1:
		return fmt.Errorf("%d pictures are too few to train with: a minibatch has %d", data.Len(), minibatch)
	}
	t := newTrainer(n, data, o.Threads)
	rng := rand.New(rand.NewPCG(o.Seed, 0x7368756666))
	total := o.Epochs * perEpoch
	for epoch := range o.Epochs {
		order, loss := rng.Perm(data.Len()), 0.
		for k := range perEpoch {
			step := epoch*perEpoch + k
			l, err := t.step(ctx, order[k*minibatch:][:minibatch], step, total)
			if err != nil {
				return err
			}
			if math.IsNaN(l) || math.IsInf(l, 0) {
				return fmt.Errorf("training failed: in step %d of epoch %d the cross-entropy is %v; try another seed", k+1, epoch+1, l)
			}
			loss += l
			if o.Progress != nil {
				o.Progress(step+1, total)
			}
		}
		if o.Epoch != nil {
			o.Epoch(epoch+1, loss/float64(perEpoch))
		}
	}
	return nil
}

// A trainer holds what the steps share.
type trainer struct {
	net     *LeNet
	data    *dataset.Images
	threads int
	passes  []*pass     // of the shards
	grads   [][]float32 // laid out as the parameters
	losses  []float64
	labels  [][]byte
	m, v    []float32 // Adam's moments
}

func newTrainer(n *LeNet, data *dataset.Images, threads int) *trainer {
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	t := &trainer{
		net: n, data: data, threads: threads, losses: make([]float64, minibatch/shard),
		m: make([]float32, len(n.params)), v: make([]float32, len(n.params)),
	}
	for range t.losses {
		t.passes = append(t.passes, newPass(n, shard))
		t.grads = append(t.grads, make([]float32, len(n.params)))
		t.labels = append(t.labels, make([]byte, shard))
	}
	return t
}

// step takes one step with the pictures in batch and returns their mean
// cross-entropy before it.
func (t *trainer) step(ctx context.Context, batch []int, step, total int) (loss float64, err error) {
	err = kernel.Parallel(ctx, t.threads, len(t.passes), func(i int) error {
		p := t.passes[i]
		p.load(t.data, batch[i*shard:][:shard], t.labels[i])
		p.forward()
		clear(t.grads[i])
		t.losses[i] = p.backward(t.grads[i], t.labels[i], 1/float32(minibatch))
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, l := range t.losses {
		loss += l / minibatch
	}
	const chunk = 1 << 16 // parameters
	chunks := (len(t.m)-1)/chunk + 1
	return loss, kernel.Parallel(ctx, t.threads, chunks, func(i int) error {
		t.adam(i*chunk, min((i+1)*chunk, len(t.m)), step, total)
		return nil
	})
}

// adam updates the parameters [lo, hi) by Adam (Kingma and Ba, ICLR 2015,
// algorithm 1):
//
//	m = beta1 m + (1 - beta1) g,   v = beta2 v + (1 - beta2) g^2,
//	p -= rate m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon).
func (t *trainer) adam(lo, hi, step, total int) {
	const rate, beta1, beta2, epsilon = 1e-3, 0.9, 0.999, 1e-8
	n := float64(step + 1)
	size := float32(rate * (1 - float64(step)/float64(total)) / (1 - math.Pow(beta1, n)))
	correction := float32(1 / math.Sqrt(1-math.Pow(beta2, n)))
	g, p, m, v := t.grads[0][lo:hi], t.net.params[lo:hi], t.m[lo:hi], t.v[lo:hi]
	for _, other := range t.grads[1:] {
		for i, x := range other[lo:hi] {
			g[i] += x
		}
	}
	for i, x := range g {
		m[i] = beta1*m[i] + (1-beta1)*x
		v[i] = beta2*v[i] + (1-beta2)*x*x
		p[i] -= size * m[i] / (correction*float32(math.Sqrt(float64(v[i]))) + epsilon)
	}
}

// load puts pictures, given by their indices, into the pass and their labels
// into labels.
func (p *pass) load(data *dataset.Images, index []int, labels []byte) {
	var x [dataset.MNISTPixels]float32
	for j, i := range index {
		Standardize(x[:], data.Image(i))
		for k, v := range x {
			p.values[0][k*p.batch+j] = v
		}
		labels[j] = data.Labels[i]
	}
}

// Accuracy returns the fraction of the pictures whose largest logit is that of
// their label.
func (n *LeNet) Accuracy(ctx context.Context, data *dataset.Images, threads int) (float64, error) {
	if data.Len() == 0 {
		return 0, fmt.Errorf("there are no pictures to test with")
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	right := make([]int, threads)
	err := kernel.Parallel(ctx, threads, threads, func(worker int) error {
		p, labels := newPass(n, shard), make([]byte, shard)
		for first := worker * shard; first < data.Len(); first += threads * shard {
			if err := ctx.Err(); err != nil {
				return err
			}
			var index []int
			for i := first; i < min(first+shard, data.Len()); i++ {
				index = append(index, i)
			}
			p.load(data, index, labels)
			logits := p.forward()
			for j := range index {
				if argmax(logits, j, p.batch) == int(labels[j]) {
					right[worker]++
				}
			}
		}
		return nil
	})
	total := 0
	for _, r := range right {
		total += r
	}
	return float64(total) / float64(data.Len()), err
}

// argmax returns the row of the largest entry of column j of y, (rows, cols).
func argmax(y []float32, j, cols int) (best int) {
	for c := range len(y) / cols {
		if y[c*cols+j] > y[best*cols+j] {
			best = c
		}
	}
	return best
}
