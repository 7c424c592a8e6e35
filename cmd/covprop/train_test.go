package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// housesCSV returns n rows with a number, a category, a constant and a price, whose
// noise is 2 for red houses and 0.2 for blue ones.
func housesCSV(n int) string {
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString("area,\"the colour\",country,price\n")
	for range n {
		area, colour, noise := 100*rng.Float64(), "red", 2.
		if rng.IntN(2) == 0 {
			colour, noise = "blue", 0.2
		}
		fmt.Fprintf(&b, "%.3f,%s,here,%.4f\n", area, colour, area/5+noise*rng.NormFloat64())
	}
	return b.String()
}

// quick are flags of a training that takes a moment.
var quick = []string{"--members", "2", "--epochs", "60", "--batch", "50", "--hidden", "10"}

// trained trains on text and returns the model's file.
func trained(t *testing.T, text, target string, args ...string) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "m.cpb")
	args = append([]string{"train", file(t, "train.csv", text), "--target", target, "-o", model}, args...)
	if _, stderr, status := execute(args...); status != 0 {
		t.Fatalf("%v: status %d, stderr %s", args, status, stderr)
	}
	return model
}

type wantEvaluation struct {
	Schema    int      `json:"schema"`
	Version   string   `json:"version"`
	Target    string   `json:"target"`
	Rows      int      `json:"rows"`
	NLL       *float64 `json:"nll"`
	NLLSE     *float64 `json:"nll_se"`
	PlugInNLL *float64 `json:"plugin_nll"`
	RMSE      *float64 `json:"rmse"`
	CRPS      *float64 `json:"crps"`
	Coverage  []struct {
		Level    float64 `json:"level"`
		Observed float64 `json:"observed"`
		SE       float64 `json:"se"`
	} `json:"coverage"`
	Accuracy    *float64 `json:"accuracy"`
	Brier       *float64 `json:"brier"`
	Calibration *float64 `json:"calibration_error"`
}

// TestTrain trains, evaluates and predicts as a user would, and checks the numbers
// against what the table was made from.
func TestTrain(t *testing.T) {
	model := filepath.Join(t.TempDir(), "m.cpb")
	data := file(t, "houses.csv", housesCSV(400))
	args := append([]string{"train", data, "--target", "price", "-o", model, "--format", "json"}, quick...)
	args[len(args)-5] = "300" // epochs
	stdout, stderr, status := execute(args...)
	if status != 0 || !strings.Contains(stderr, `do not vary: the columns "country"`) {
		t.Fatalf("status %d, stderr %s", status, stderr)
	}
	var j struct {
		Schema     int      `json:"schema"`
		Version    string   `json:"version"`
		Model      string   `json:"model"`
		Rows       int      `json:"rows"`
		Inputs     int      `json:"inputs"`
		Constant   []string `json:"constant"`
		Likelihood string   `json:"likelihood"`
		Parameters int      `json:"parameters"`
		Members    int      `json:"members"`
		Epochs     []int    `json:"epochs"`
		Loss       *float64 `json:"loss"`
		Validation *float64 `json:"validation"`
		Seconds    float64  `json:"seconds"`
	}
	decodeStrictly(t, stdout, &j)
	// Inputs: area and two colours; 10 x 3 + 10 and 2 x 10 + 2 weights, each with a variance.
	if j.Rows != 400 || j.Inputs != 3 || j.Parameters != 124 || j.Members != 2 || len(j.Epochs) != 2 || j.Loss == nil || j.Validation != nil {
		t.Errorf("got %+v", j)
	}

	// Other rows, their columns in another order, one too many.
	predictions := mustExecute(t, "predict", model, file(t, "new.csv", "x,the colour,area\n1,red,10\n2,blue,90\n"), "--format", "csv", "--interval", "0.8")
	rows, err := csv.NewReader(strings.NewReader(predictions)).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0], " ") != "mean std lower upper std_noise std_weights std_input" {
		t.Fatalf("%v: %v", err, rows)
	}
	for i, want := range []struct{ price, noise float64 }{{2, 2}, {18, 0.2}} {
		var x [7]float64
		for k := range x {
			if x[k], err = strconv.ParseFloat(rows[i+1][k], 64); err != nil {
				t.Fatal(err)
			}
		}
		// Learnt from 200 noisy examples each by a brief training.
		if math.Abs(x[0]-want.price) > 0.5*want.noise+0.2 || x[4] < 0.5*want.noise || x[4] > 2*want.noise+0.2 {
			t.Errorf("row %d: mean %v and noise %v, made of %v and %v", i, x[0], x[4], want.price, want.noise)
		}
		if parts := x[4]*x[4] + x[5]*x[5] + x[6]*x[6]; math.Abs(parts/(x[1]*x[1])-1) > 1e-12 || x[6] != 0 {
			t.Errorf("row %d: the variance %v has parts that sum to %v", i, x[1]*x[1], parts)
		}
		if !(x[2] < x[0] && x[0] < x[3]) {
			t.Errorf("row %d: the mean %v is not between %v and %v", i, x[0], x[2], x[3])
		}
	}

	// A noise of 5 in the area is one of 5/5 in the price.
	var noisy predictions2
	decodeStrictly(t, mustExecute(t, "predict", model, file(t, "new.csv", "the colour,area\nblue,50\n"), "--input-std", "area=5", "--format", "json"), &noisy)
	if got := noisy.Rows[0][6]; math.Abs(got-1) > 0.2 {
		t.Errorf("the input's part of the standard deviation is %v, want about 1", got)
	}

	band := filepath.Join(t.TempDir(), "b.svg")
	mustExecute(t, "predict", model, data, "--plot", band, "--along", "area")
	if picture, err := os.ReadFile(band); err != nil || !bytes.Contains(picture, []byte("houses.csv")) || !bytes.Contains(picture, []byte("price along area")) {
		t.Errorf("no picture of a band: %v", err)
	}

	var e wantEvaluation
	plot := filepath.Join(t.TempDir(), "c.svg")
	decodeStrictly(t, mustExecute(t, "evaluate", model, data, "--plot", plot, "--format", "json"), &e)
	if e.Rows != 400 || e.NLL == nil || e.CRPS == nil || *e.RMSE < 1 || *e.RMSE > 2 || len(e.Coverage) != 4 || e.Accuracy != nil {
		t.Errorf("got %+v", e) // the RMSE of the truth is the root of (4 + 0.04)/2, 1.42
	}
	for _, c := range e.Coverage {
		if math.Abs(c.Observed-c.Level) > 0.15 { // 0.025 of chance, and the training is brief
			t.Errorf("%v of the targets are in intervals of %v", c.Observed, c.Level)
		}
	}
	if picture, err := os.ReadFile(plot); err != nil || !bytes.Contains(picture, []byte("fraction of targets")) {
		t.Errorf("no picture: %v", err)
	}
	if text := mustExecute(t, "evaluate", model, data); !strings.Contains(text, "RMSE") || !strings.Contains(text, "CRPS") || !strings.Contains(text, "90%") {
		t.Errorf("the text is\n%s", text)
	}
}

// TestExport checks that the network that is written takes columns as they are and
// gives prices.
func TestExport(t *testing.T) {
	model := trained(t, housesCSV(400), "price", append(quick, "--epochs", "300")...)
	path := filepath.Join(t.TempDir(), "mean.onnx")
	if out := mustExecute(t, "export", model, "-o", path); !strings.Contains(out, `"area", "the colour=blue", "the colour=red"`) {
		t.Errorf("got %s", out)
	}
	r := propagateJSON(t, path, "--mean", "50,1,0", "--std", "5,0,0")
	// The price of a blue house is a fifth of its area.
	if m, s := r.Outputs[0].Mean[0], r.Outputs[0].Std[0]; math.Abs(m-10) > 0.3 || math.Abs(s-1) > 0.2 {
		t.Errorf("the price is %v ± %v, want about 10 ± 1", m, s)
	}
	if _, stderr, status := execute("export", model, "-o", "mean.txt"); status != 2 || !strings.Contains(stderr, ".onnx") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

type predictions2 struct {
	Schema   int          `json:"schema"`
	Version  string       `json:"version"`
	Target   string       `json:"target"`
	Interval float64      `json:"interval"`
	Accuracy accuracyJSON `json:"accuracy"`
	Density  accuracyJSON `json:"density"`
	Columns  []string     `json:"columns"`
	Rows     [][]float64  `json:"rows"`
	Class    []string     `json:"class"`
}

// TestTrainClasses learns two and three classes that a line divides.
func TestTrainClasses(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, names := range [][]string{{"no", "yes"}, {"low", "middle", "high"}} {
		var b strings.Builder
		b.WriteString("x,z,class\n")
		for range 300 {
			x := rng.Float64()
			fmt.Fprintf(&b, "%v,%v,%s\n", x, rng.Float64(), names[int(x*float64(len(names)))])
		}
		model := trained(t, b.String(), "class", append(quick, "--likelihood", "classify")...)
		var e wantEvaluation
		decodeStrictly(t, mustExecute(t, "evaluate", model, file(t, "test.csv", b.String()), "--format", "json", "--plot", filepath.Join(t.TempDir(), "r.png")), &e)
		if e.Accuracy == nil || *e.Accuracy < 0.9 || e.RMSE != nil || *e.Brier > 0.3 || e.Calibration == nil {
			t.Errorf("%v: got %+v", names, e)
		}
		var p predictions2
		decodeStrictly(t, mustExecute(t, "predict", model, file(t, "new.csv", "x,z\n0.02,0.5\n0.98,0.5\n"), "--format", "json"), &p)
		if len(p.Class) != 2 || p.Class[0] != names[0] || p.Class[1] != names[len(names)-1] || len(p.Columns) != len(names) {
			t.Errorf("%v: got %+v", names, p)
		}
	}
}

// TestTrainResume interrupts a training again and again: it ends with the same bytes
// as one that was left in peace.
func TestTrainResume(t *testing.T) {
	data := file(t, "houses.csv", housesCSV(100))
	dir := t.TempDir()
	train := func(name string) []string {
		return append([]string{"train", data, "--target", "price", "--threads", "1", "--exclude", "country", "-o", filepath.Join(dir, name)}, quick...)
	}
	mustExecute(t, append(train("whole.cpb"), "--epochs", "400")...)
	args := append(train("parts.cpb"), "--epochs", "400")
	interruptions := 0
	for delay := 30 * time.Millisecond; ; delay += 20 * time.Millisecond {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(delay, cancel)
		var out, errs bytes.Buffer
		status := run(ctx, args, &out, &errs)
		timer.Stop()
		cancel()
		if status == 0 {
			break
		}
		if _, err := os.Stat(filepath.Join(dir, "parts.cpb.checkpoint")); err != nil {
			continue // too early
		}
		if !strings.Contains(errs.String(), "--resume continues\ncovprop: interrupted\n") {
			t.Fatalf("status %d, stderr %s", status, &errs)
		}
		if interruptions++; interruptions == 1 {
			for flags, want := range map[string]string{
				"":                                "continue it with --resume, or delete it",
				"--resume --seed 2":               "with other flags",
				"--resume --hidden 11":            "for another network",
				"--resume --target area":          "with other data",
				"--resume --members 3":            "with other flags",
				"--resume --exclude country,area": "with other data",
			} {
				_, stderr, status := execute(append(args[:len(args):len(args)], strings.Fields(flags)...)...)
				if status != 1 || !strings.Contains(stderr, want) {
					t.Errorf("%s: status %d, stderr %s", flags, status, stderr)
				}
			}
			args = append(args, "--resume")
		}
	}
	if interruptions == 0 {
		t.Skip("the training was never interrupted: this machine is too fast or too slow")
	}
	whole, err := os.ReadFile(filepath.Join(dir, "whole.cpb"))
	if err != nil {
		t.Fatal(err)
	}
	parts, err := os.ReadFile(filepath.Join(dir, "parts.cpb"))
	if err != nil || !bytes.Equal(whole, parts) {
		t.Errorf("a training that was interrupted %d times ends elsewhere: %v", interruptions, err)
	}
	wantFiles(t, dir, "parts.cpb", "whole.cpb")
}

func TestTrainErrors(t *testing.T) {
	houses := housesCSV(60)
	data := file(t, "houses.csv", houses)
	for _, c := range []struct {
		data, flags string
		status      int
		want        string
	}{
		{data, "--target prize", 1, `no column "prize"; there are "area", "the colour"`},
		{data, "", 2, "--target"},
		{file(t, "x.csv", "a,b\n1,x\n2,y\n"), "--target b", 1, `"b" is no number in row 1, but "x"; texts can be predicted as classes (--likelihood classify)`},
		{file(t, "x.csv", "a,b\n1,1\n1,2\n"), "--target b", 1, "all columns but the target"},
		{file(t, "x.csv", "a,b\n1,1\n,2\n2,3\n"), "--target b", 1, "no value in row 2; missing values are refused unless they are to be imputed (--impute mean)"},
		{file(t, "x.csv", "a,b\n1,1\n3,2\n2,3\n"), "--target b --batch 4", 2, "--batch 4"},
		{data, "--target price --hidden 0", 2, "--hidden"},
		{data, "--target price --hidden 30000,30000,30000", 1, "--hidden"},
		{data, "--target price --activation magic", 2, "--activation"},
		{data, "--target price --prior -1", 2, "--prior"},
		{data, "--target price --beta 2", 2, "--beta"},
		{data, "--target price --beta 0.5 --likelihood student", 2, "--beta has no meaning"},
		{data, "--target price --patience 5", 2, "--patience has no meaning"},
		{data, "--target price --patience 0 --validation 0.2", 2, "--patience must be at least 1"},
		{data, "--target price --rate 0", 2, "--rate"},
		{data, "--target price --mode series", 2, "--order from 1"},
		{data, "--target price --order 3", 2, "--order has no meaning"},
		{data, "--target price --mode dvi --activation tanh", 1, "not of tanh"},
		{data, "--target price --members 0", 2, "--members"},
		{data, "--target price --resume", 1, "leave --resume out"},
		{data, "--target price --validation 0.001 --batch 9", 1, "to hold out"},
		{data, "--target price -o m.txt", 2, "must end in .cpb"},
		{"none.csv", "--target price", 1, "none.csv: no such file"},
	} {
		dir := t.TempDir()
		args := append([]string{"train", c.data, "-o", filepath.Join(dir, "m.cpb"), "--epochs", "1"}, strings.Fields(c.flags)...)
		_, stderr, status := execute(args...)
		if status != c.status || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") > 2 {
			t.Errorf("%s: status %d, stderr %s; want %d and %q", c.flags, status, stderr, c.status, c.want)
		}
		wantFiles(t, dir)
	}
}

// TestTrainDiverges trains at a rate at which the loss becomes no number: the message
// says the step and the rate, and what was good is kept.
func TestTrainDiverges(t *testing.T) {
	dir := t.TempDir()
	data := file(t, "x.csv", "a,b\n1,1\n2,4\n3,9\n4,16\n5,25\n6,36\n")
	args := []string{"train", data, "--target", "b", "--activation", "exp", "--hidden", "20,20", "--rate", "1", "--epochs", "3000", "--members", "1", "-o", filepath.Join(dir, "m.cpb")}
	_, stderr, status := execute(args...)
	if status != 1 || !strings.Contains(stderr, "learning rate") || !strings.Contains(stderr, "lower the rate") || !strings.Contains(stderr, "m.cpb.checkpoint") {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
	wantFiles(t, dir, "m.cpb.checkpoint")
}

func TestPredictErrors(t *testing.T) {
	model := trained(t, housesCSV(60), "price", append(quick, "--epochs", "2")...)
	whole, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	short := file(t, "short.cpb", string(whole[:len(whole)-9]))
	newer := file(t, "newer.cpb", strings.Replace(string(whole), `"version":"1"`, `"version":"7"`, 1))
	good := file(t, "good.csv", "area,the colour,price\n1,red,1\n")
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"predict", model, file(t, "x.csv", "price\n1\n")}, 1, `missing: "area", "the colour"`},
		{[]string{"predict", model, file(t, "x.csv", "area,the colour\n1,pink\n")}, 1, `"pink" in row 1`},
		{[]string{"predict", model, file(t, "x.csv", "area,the colour\n,red\n")}, 1, "(--impute mean)"},
		{[]string{"predict", short, good}, 1, "short.cpb"},
		{[]string{"predict", newer, good}, 1, "use a newer covprop"},
		{[]string{"predict", data60(t), good}, 1, "no model"},
		{[]string{"predict", model, good, "--interval", "1"}, 2, "--interval"},
		{[]string{"predict", model, good, "--input-std", "area"}, 2, "--input-std"},
		{[]string{"predict", model, good, "--input-std", "size=1"}, 2, `no column "size"`},
		{[]string{"predict", model, good, "--input-std", "area=-1"}, 2, `"area" must be`},
		{[]string{"predict", model, good, "--input-std", "the colour=1"}, 2, "has categories"},
		{[]string{"predict", model, good, "-o", "x.txt"}, 2, "must end in .csv or .json"},
		{[]string{"predict", model, good, "--along", "area"}, 2, "without --plot"},
		{[]string{"predict", model, good, "--plot", "p.svg"}, 2, "do not vary"},
		{[]string{"predict", model, good, "--plot", "p.svg", "--along", "the colour"}, 2, "no such column of numbers"},
		{[]string{"evaluate", model, file(t, "x.csv", "area,the colour\n1,red\n")}, 1, `target "price" is missing`},
		{[]string{"evaluate", model, file(t, "x.csv", "area,the colour,price\n1,red,\n")}, 1, `"price" is missing in row 1`},
		{[]string{"evaluate", model, good, "--plot", "x.pdf"}, 2, "--plot"},
		{[]string{"evaluate", "none.cpb", good}, 1, "none.cpb: no such file"},
	} {
		_, stderr, status := execute(c.args...)
		if status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, stderr %s; want %d and %q", c.args, status, stderr, c.status, c.want)
		}
	}
	if out := mustExecute(t, "predict", model, file(t, "x.csv", "area,the colour\n,red\n"), "--impute", "mean"); !strings.Contains(out, "price, 1 rows\n") {
		t.Errorf("imputed: %s", out)
	}
	path := filepath.Join(t.TempDir(), "p.csv")
	if out := mustExecute(t, "predict", model, good, "-o", path); !strings.Contains(out, "all are in") {
		t.Errorf("got %s", out)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != mustExecute(t, "predict", model, good, "--format", "csv") {
		t.Errorf("%v: the file has %s", err, text)
	}
}

func data60(t *testing.T) string { return file(t, "houses.csv", housesCSV(60)) }
