package main

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeMNIST writes a database of noise in place of MNIST and returns its
// folder: 256 pictures to train with, 20 to test.
func writeMNIST(t *testing.T) string {
	t.Helper()
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(1, 2))
	write := func(name string, below int, shape ...int) {
		b, n := []byte{0, 0, 8, byte(len(shape))}, 1
		for _, d := range shape {
			b, n = binary.BigEndian.AppendUint32(b, uint32(d)), n*d
		}
		for range n {
			b = append(b, byte(rng.IntN(below)))
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for part, n := range map[string]int{"train": 256, "t10k": 20} {
		write(part+"-images-idx3-ubyte", 256, n, 28, 28)
		write(part+"-labels-idx1-ubyte", 10, n)
	}
	return dir
}

func TestReproduceMNIST(t *testing.T) {
	data, dir := writeMNIST(t), t.TempDir()
	weights := filepath.Join(dir, "lenet.safetensors")
	args := []string{"reproduce", "mnist", "--data", data, "--runs", "1", "--samples", "200", "--seed", "3"}
	var r mnistJSON
	decodeStrictly(t, mustExecute(t, append(args, "--width", "1", "--epochs", "2", "--save", weights, "--format", "json")...), &r)
	if r.Schema != 1 || r.Experiment != "mnist" || r.Runs != 1 || r.Samples != 200 || r.Seed != 3 || r.Norm != "spectral" || r.Partial || len(r.Images) != 1 {
		t.Fatalf("got %+v", r)
	}
	if n := r.Network; n.Width != 1 || len(n.Losses) != 2 || !(n.Seconds > 0) || n.Accuracy < 0 || n.Accuracy > 1 || n.Weights != "" {
		t.Errorf("the network is %+v", n)
	}
	last := r.Methods[len(r.Methods)-1]
	if len(r.Methods) != 5 || last.Method != "exact" || last.Error != "" || len(last.Logits) != 10 || last.All.Variance.Mean == nil || r.MonteCarlo.Mean == nil {
		t.Fatalf("got %+v", r)
	}
	out := filepath.Join(dir, "out.json")
	text := mustExecute(t, append(args, "--weights", weights, "-o", out)...)
	for _, want := range []string{"width 1, 3599 parameters, from " + weights, "1, 200 samples each, seed 3", "PL-DNN (Bibi et al. 2018)", "\nvariance\n", "\n  9      "} {
		if !strings.Contains(text, want) {
			t.Errorf("the text has no %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "partial") || strings.Contains(text, "failed") {
		t.Errorf("a whole result calls itself something else:\n%s", text)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var again mnistJSON
	decodeStrictly(t, string(written), &again)
	if a := again.Methods[len(again.Methods)-1]; *a.All.Variance.Mean != *last.All.Variance.Mean || again.Images[0] != r.Images[0] || again.Network.Accuracy != r.Network.Accuracy {
		t.Error("the network that was saved gives another result")
	}
}

func TestReproduceMNISTRefuses(t *testing.T) {
	data := writeMNIST(t)
	cut := writeMNIST(t)
	if err := os.Truncate(filepath.Join(cut, "t10k-images-idx3-ubyte"), 500); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cut, "bad.safetensors"), []byte("bad"), 0o666); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(cut, "bad.safetensors")
	for want, c := range map[string]struct {
		status int
		args   []string
	}{
		"missing flags: --data":              {2, nil},
		"train-images-idx3-ubyte.gz":         {1, []string{"--data", t.TempDir()}},
		"LeCun, Cortes and Burges":           {1, []string{"--data", t.TempDir()}},
		"nowhere":                            {1, []string{"--data", "nowhere"}},
		"t10k-images-idx3-ubyte: is cut sho": {1, []string{"--data", cut}},
		"bad.safetensors: is cut short":      {1, []string{"--data", data, "--weights", bad}},
		"--weights gone: no such file":       {1, []string{"--data", data, "--weights", "gone"}},
		"--weights excludes --epochs":        {2, []string{"--data", data, "--weights", bad, "--epochs", "1"}},
		"--epochs must be at least 1, not 0": {2, []string{"--data", data, "--epochs", "0"}},
		"--width must be from 1 to 32":       {2, []string{"--data", data, "--width", "33"}},
		"runs must be at least 1, not 0":     {2, []string{"--data", data, "--runs", "0"}},
		"samples must be at least 2, not 1":  {2, []string{"--data", data, "--samples", "1"}},
		"threads must not be negative":       {2, []string{"--data", data, "--threads=-1"}},
		"--seed must be at least 1":          {2, []string{"--data", data, "--seed", "0"}},
		"--save a.txt: the name must end in": {2, []string{"--data", data, "--save", "a.txt"}},
	} {
		_, stderr, status := execute(append([]string{"reproduce", "mnist"}, c.args...)...)
		if status != c.status || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: status %d, stderr %s", c.args, status, stderr)
		}
	}
}
