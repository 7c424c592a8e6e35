package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReproduceUCI checks the forms of the results on a set of 80 examples.
func TestReproduceUCI(t *testing.T) {
	dir := t.TempDir()
	var data strings.Builder
	for i := range 80 {
		x := math.Remainder(float64(i)*1.7, 6)
		fmt.Fprintf(&data, "%v %v\n", x, math.Sin(x)+.1*math.Cos(float64(7*i)))
	}
	if err := os.Mkdir(filepath.Join(dir, "boston"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"data.txt": data.String(), "splits_test.txt": "0 5 9 33\n1 2 3 4\n"} {
		if err := os.WriteFile(filepath.Join(dir, "boston", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"reproduce", "uci", "--data", dir, "--sets", "boston", "--modes", "exact,diagonal", "--splits", "2", "--steps", "200"}
	out := mustExecute(t, args...)
	for _, want := range []string{"test log likelihood", "-2.41", "exact", "diagonal"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	var j struct {
		Results []struct {
			Set        string   `json:"set"`
			Mode       string   `json:"mode"`
			Splits     int      `json:"splits"`
			TestLL     float64  `json:"test_ll"`
			TestLLSE   *float64 `json:"test_ll_se"`
			PlugInLL   float64  `json:"plugin_ll"`
			RMSE       float64  `json:"rmse"`
			Coverage90 float64  `json:"coverage90"`
			Seconds    float64  `json:"seconds"`
		} `json:"results"`
	}
	decodeStrictly(t, mustExecute(t, append(args, "--format", "json")...), &j)
	if len(j.Results) != 2 || j.Results[1].Mode != "diagonal" || j.Results[0].Set != "boston" || j.Results[0].Splits != 2 ||
		j.Results[0].TestLLSE == nil || !(j.Results[0].RMSE > 0) || j.Results[0].TestLL == 0 {
		t.Errorf("got %+v", j)
	}
	for flags, want := range map[string]string{
		"--splits 0": "number of splits", "--sets iris": `no set "iris"`, "--modes x": `no mode "x"`, "--splits 3": "boston has 2 splits",
	} {
		_, stderr, status := execute(append(args, strings.Fields(flags)...)...)
		if status == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %q", flags, status, stderr)
		}
	}
}
