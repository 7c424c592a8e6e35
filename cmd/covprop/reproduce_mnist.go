package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/covprop/covprop/dataset"
	"github.com/covprop/covprop/internal/reproduce"
)

// reproduceMNISTCmd trains a network on MNIST and compares analytic moments of
// its logits with Monte Carlo.
type reproduceMNISTCmd struct {
	Data      string     `required:"" placeholder:"DIR" help:"The folder with the four files of the MNIST database, compressed or not."`
	Runs      int        `default:"5" placeholder:"N" help:"Test images and covariances (default: ${default}; the paper's is 200)."`
	Samples   int        `default:"75000" placeholder:"N" help:"Samples of Monte Carlo for each (default: ${default})."`
	Norm      string     `enum:"spectral,frobenius" default:"spectral" help:"The norm of the input's covariance that is one: spectral or frobenius (default: ${default})."`
	Epochs    *int       `placeholder:"N" help:"Epochs of training (default: 2)."`
	Width     *int       `placeholder:"W" help:"Channels of the first layer, from 1 to 32; the others are in proportion (default: 32, the paper's network)."`
	Weights   string     `placeholder:"FILE" help:"Read a network that --save wrote in place of training one."`
	Save      outputFile `placeholder:"FILE" help:"Write the trained network to a .safetensors file."`
	Threads   int        `default:"0" placeholder:"N" help:"Number of threads (default: one a processor)."`
	MaxMemory *byteSize  `placeholder:"8GiB" help:"Refuse methods whose covariances need more memory (default: three quarters of the machine's, where that is known)."`
	Output    outputFile `name:"output" short:"o" placeholder:"FILE" help:"Write the result to a .json file, too."`
	experimentFlags
}

// Help is shown below the flags' summary.
func (c *reproduceMNISTCmd) Help() string {
	return `Trains an all-convolutional network like LeNet-5: 5 x 5 convolution to 32 channels, ReLU, 2 x 2 with stride 2 to 32, 5 x 5 to 64, ` +
		`ReLU, 2 x 2 with stride 2 to 64, 1024 units, ReLU, ten logits. The mean of the input is a test image, standardised, and its covariance ` +
		`random: its eigenvalues are uniform and its norm is one, spectral as in the paper's other experiment, or Frobenius as in its program. ` +
		`The default takes five to ten minutes on two cores with AVX-512, two of them for training, and 4 GiB of memory; ` +
		`--width 8 takes a tenth of that. The covariances of the network's units are kept in float32. An interruption shows what is done.`
}

const defaultEpochs = 2

func (c *reproduceMNISTCmd) check() (*reproduce.MNIST, error) {
	work := &reproduce.MNIST{
		Runs: c.Runs, Samples: c.Samples, Seed: c.Seed, Norm: reproduce.Norm(c.Norm), Threads: c.Threads,
		MaxBytes: (&methodFlags{MaxMemory: c.MaxMemory}).maxBytes(),
	}
	if err := errors.Join(c.experimentFlags.check(), work.Check()); err != nil {
		return nil, usageError{err}
	}
	switch {
	case c.Weights != "" && (c.Epochs != nil || c.Width != nil || c.Save != ""):
		return nil, usagef("--weights excludes --epochs, --width and --save, which are for training")
	case c.Epochs != nil && *c.Epochs < 1:
		return nil, usagef("--epochs must be at least 1, not %d", *c.Epochs)
	case c.Width != nil && (*c.Width < 1 || *c.Width > reproduce.LeNetWidth):
		return nil, usagef("--width must be from 1 to %d, not %d", reproduce.LeNetWidth, *c.Width)
	}
	return work, errors.Join(c.Save.checkAs("--save", ".safetensors"), c.Output.check(".json"))
}

func (c *reproduceMNISTCmd) Run(e *env) error {
	work, err := c.check()
	if err != nil {
		return err
	}
	data, err := dataset.ReadMNIST(c.Data)
	if err != nil {
		return err
	}
	t, err := c.network(e, &data.Train)
	if err != nil {
		return err
	}
	if t.Accuracy, err = t.net.Accuracy(e.ctx, &data.Test, c.Threads); err != nil {
		return err
	}
	work.Net, work.Test = t.net, &data.Test
	p := newProgress(e.stderr, "mnist")
	work.Progress = p.update
	r, err := work.Run(e.ctx)
	p.clear()
	if r == nil {
		return err
	}
	full := c.json(t, r)
	if c.Output != "" {
		err = errors.Join(err, c.Output.writeJSON(full))
	}
	if c.Format == "json" {
		return errors.Join(err, e.printJSON(full))
	}
	return errors.Join(err, e.print(c.text(t, r)))
}

// A trainedNet is a network and where it comes from.
type trainedNet struct {
	net      *reproduce.LeNet
	Epochs   int       // 0 if it was read from a file
	Losses   []float64 // mean cross-entropy of every epoch
	Seconds  float64
	Accuracy float64
}

// network trains the network, or reads it.
func (c *reproduceMNISTCmd) network(e *env, data *dataset.Images) (t trainedNet, err error) {
	if c.Weights != "" {
		t.net, err = readLeNet(c.Weights)
		return t, err
	}
	width := reproduce.LeNetWidth
	if c.Width != nil {
		width = *c.Width
	}
	t.Epochs = defaultEpochs
	if c.Epochs != nil {
		t.Epochs = *c.Epochs
	}
	if t.net, err = reproduce.NewLeNet(width, c.Seed); err != nil {
		return t, err
	}
	start, p := time.Now(), newProgress(e.stderr, "training")
	err = t.net.Train(e.ctx, data, reproduce.TrainOptions{
		Epochs: t.Epochs, Seed: c.Seed, Threads: c.Threads, Progress: p.update,
		Epoch: func(epoch int, loss float64) {
			t.Losses = append(t.Losses, loss)
			p.notef("epoch %d of %d: mean cross-entropy %.4f, %.0f s", epoch, t.Epochs, loss, time.Since(start).Seconds())
		},
	})
	p.clear()
	t.Seconds = time.Since(start).Seconds()
	if err != nil || c.Save == "" {
		return t, err
	}
	return t, c.Save.writeAs("--save", func(w io.Writer) error {
		_, err := t.net.WriteTo(w)
		return err
	})
}

// notef writes a line above the progress bar, if stderr is a terminal.
func (p *progress) notef(format string, args ...any) {
	if p.terminal == nil {
		return
	}
	p.clear()
	fmt.Fprintf(p.terminal, format+"\n", args...)
}

func readLeNet(path string) (*reproduce.LeNet, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--weights %s: %w", path, bare(err))
	}
	defer f.Close()
	n, err := reproduce.ReadLeNet(f)
	if err != nil {
		return nil, fmt.Errorf("--weights %s: %w", path, err)
	}
	return n, nil
}
