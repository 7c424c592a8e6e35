package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// benchNames are results that scripts rely on.
var benchNames = map[string]string{
	"fma_peak_f64_1t":                     "GFLOP/s",
	"fma_peak_f32_1t":                     "GFLOP/s",
	"gemm_f64_n128_1t":                    "GFLOP/s",
	"gemm_f64_n256_1t":                    "GFLOP/s",
	"gemm_f64_n512_1t":                    "GFLOP/s",
	"gemm_f64_n1024_1t":                   "GFLOP/s",
	"gemm_f64_n2048_1t":                   "GFLOP/s",
	"gemm_f64_n1024_2t":                   "GFLOP/s",
	"gemm_f32_n1024_1t":                   "GFLOP/s",
	"sym_f64_n128_1t":                     "GFLOP/s",
	"sym_f64_n1024_1t":                    "GFLOP/s",
	"sym_f64_n1024_2t":                    "GFLOP/s",
	"sym_f64_n2048_1t":                    "GFLOP/s",
	"gonum_f64_n1024_1t":                  "GFLOP/s",
	"series_relu_n1024":                   "ns/entry",
	"series_relu_n1024_vs_affine":         "ratio",
	"mlp_100x7":                           "ms",
	"mlp_100x7_vs_gemm":                   "ratio",
	"montecarlo10000_mlp_100x7_vs_moment": "ratio",
	"conv20x20":                           "ms",
	"conv20x20_vs_gemm":                   "ratio",
	"acas_batch":                          "inputs/s",
}

// quickBench runs bench, as small as it goes.
func quickBench(t *testing.T, c benchCmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Quick = true
	if err := c.Run(&env{ctx: context.Background(), stdout: &stdout, stderr: &stderr}); err != nil || stderr.Len() > 0 {
		t.Fatalf("error %v, stderr %q", err, &stderr)
	}
	return stdout.String()
}

func TestBenchJSON(t *testing.T) {
	for _, c := range []benchCmd{{JSON: true, Format: "text"}, {Format: "json"}} {
		var b benchJSON
		decodeStrictly(t, quickBench(t, c), &b)
		if b.Version == "" || b.ISA == "" || b.Processors < 1 {
			t.Errorf("the machine is %+v", b)
		}
		units := map[string]string{}
		for _, r := range b.Results {
			units[r.Name] = r.Unit
			if !(r.Value > 0) {
				t.Errorf("%s is %v", r.Name, r.Value)
			}
		}
		for name, unit := range benchNames {
			if units[name] != unit {
				t.Errorf("%s has the unit %q, want %q", name, units[name], unit)
			}
		}
	}
}

func TestBenchText(t *testing.T) {
	text := quickBench(t, benchCmd{Format: "text"})
	for name := range benchNames {
		if !strings.Contains(text, "  "+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestBenchUsage: every error is one line, before anything is measured.
func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{{"bench", "--bogus"}, {"bench", "--format", "xml"}, {"bench", "model.onnx"}, {"bench", "--quick"}} {
		stdout, stderr, status := execute(args...)
		if status != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "covprop bench --help") {
			t.Errorf("%v: status %d, stdout %q, stderr %q", args, status, stdout, stderr)
		}
	}
}

func TestBenchInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stdout, stderr bytes.Buffer
	if status := run(ctx, []string{"bench"}, &stdout, &stderr); status != 1 || stderr.String() != "covprop: interrupted\n" || stdout.Len() > 0 {
		t.Errorf("status %d, stdout %q, stderr %q", status, &stdout, &stderr)
	}
}

func TestFixed(t *testing.T) {
	for x, want := range map[float64]string{12345.6: "12346", 214.2: "214", 77.94: "77.9", .02034: "0.0203", 1: "1.00", 999.6: "1000"} {
		if got := fixed(x); got != want {
			t.Errorf("fixed(%v) = %q, want %q", x, got, want)
		}
	}
}
