package reproduce

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// writeSet writes a set of 400 examples, y = 3 sin(x_0) + 20 with noise of standard
// deviation 0.3, and two splits.
func writeSet(t *testing.T, dir, name string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var data, splits strings.Builder
	for range 400 {
		x := 2 * rng.NormFloat64()
		fmt.Fprintf(&data, "%v 0.1 %v\n", x, 20+3*math.Sin(x)+.3*rng.NormFloat64())
	}
	for range 2 {
		for _, i := range rng.Perm(400)[:60] {
			fmt.Fprint(&splits, i, " ")
		}
		fmt.Fprintln(&splits)
	}
	write := func(file, text string) {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("data.txt", data.String())
	write("splits_test.txt", splits.String())
}

// TestUCI: the modes learn the function, on data in other units than those of the
// network, with a column that is constant. The best log likelihood there is is
// that of the noise, -log(0.3) - 1.42 = -0.21, that of a Gaussian that knows nothing
// -2.2. Two runs agree, for any number of threads. Sampling takes ten times as long
// and is only begun.
func TestUCI(t *testing.T) {
	dir := t.TempDir()
	writeSet(t, dir, "yacht")
	u := UCI{Dir: dir, Sets: []string{"yacht"}, Modes: []string{"exact", "dvi", "diagonal"}, Splits: 2, Seed: 1, Steps: 1500, Threads: 1}
	results, err := u.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 3 {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		if r.LogDensity < -1.2 || r.LogDensity > .3 || r.RMSE > .8 || r.RMSE < .15 || r.Coverage < .7 || r.Splits != 2 || !(r.Seconds > 0) || !(r.LogDensitySE > 0) {
			t.Errorf("%s: %+v", r.Mode, r)
		}
	}
	u.Threads, u.Modes = 2, []string{"exact"}
	again, err := u.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u.Modes, u.Steps = []string{"mcvi"}, 30
	if sampled, err := u.Run(t.Context()); err != nil || sampled[0].Mode != "mcvi" || math.IsNaN(sampled[0].LogDensity) {
		t.Errorf("mcvi: %+v, %v", sampled, err)
	}
	again[0].Seconds = results[0].Seconds
	if !reflect.DeepEqual(again[0], results[0]) {
		t.Errorf("two threads: %+v, one %+v", again[0], results[0])
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestUCIRefuses: what is wrong is said with file and line.
func TestUCIRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		data, splits string
		want         string
	}{
		"no file":      {"", "", "data.txt: no such file or directory"},
		"a word":       {"1 2\n3 x\n", "0\n", `data.txt: line 2: "x" is not a finite number`},
		"ragged":       {"1 2\n3\n", "0\n", "data.txt: line 2: has 1 columns, want 2"},
		"target alone": {"1\n3\n", "0\n", "at least one and the target"},
		"row beyond":   {"1 2\n3 4\n", "2\n", `splits_test.txt: line 1: "2" is not the number of one of 2 rows`},
		"row twice":    {"1 2\n3 4\n", "1 1\n", "has a row twice"},
		"no splits":    {"1 2\n3 4\n", "# none\n", "there are no splits"},
		"few examples": {"1 2\n3 4\n5 7\n", "0\n", "fewer than the 64 of a batch"},
	} {
		dir := t.TempDir()
		if c.data != "" {
			writeSet(t, dir, "yacht")
			for file, text := range map[string]string{"data.txt": c.data, "splits_test.txt": c.splits} {
				if err := os.WriteFile(filepath.Join(dir, "yacht", file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		u := UCI{Dir: dir, Sets: []string{"yacht"}, Modes: []string{"exact"}, Splits: 1}
		if _, err := u.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v", what, err)
		}
	}
	for _, u := range []UCI{{Sets: []string{"iris"}, Modes: UCIModes, Splits: 1}, {Sets: UCISets, Modes: []string{"x"}, Splits: 1}, {Sets: UCISets, Modes: UCIModes}, {}} {
		if err := u.Check(); err == nil {
			t.Errorf("%+v is accepted", u)
		}
	}
}

// TestUCIConstant: the mean of many times 0.1 is not 0.1 to the last bit, but a column
// of that is constant, and another value there in a test row is no outlier.
func TestUCIConstant(t *testing.T) {
	s := &uciSet{inputs: 1, tests: [][]int{{0}}}
	s.data = append(s.data, 0.2, 0)
	for i := range 499 {
		s.data = append(s.data, 0.1, float64(i))
	}
	c := s.standardise(0)
	if b := c.batch([]int{0, 1}); c.mean[0] != 0.1 || b.X.Data[0] != 0.1 || b.X.Data[1] != 0 {
		t.Errorf("mean %v, inputs %v", c.mean[0], b.X.Data)
	}
}
