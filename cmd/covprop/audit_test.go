package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/covprop/covprop"
)

// The documented form of an audit.
type wantAudit struct {
	Method  string `json:"method"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
	Samples int    `json:"samples"`
	Seed    uint64 `json:"seed"`
	Outputs []struct {
		Name              string     `json:"name"`
		MeanDifferenceStd []*float64 `json:"mean_difference_std"`
		MeanDifferenceSE  []*float64 `json:"mean_difference_se"`
		StdRatio          []*float64 `json:"std_ratio"`
		StdRatioLow       []*float64 `json:"std_ratio_low"`
		StdRatioHigh      []*float64 `json:"std_ratio_high"`
	} `json:"outputs"`
	FirstBrokenNode *string `json:"first_broken_node"`
	Constant        []struct {
		Name    string `json:"name"`
		Element int    `json:"element"`
	} `json:"constant"`
	Nodes []struct {
		Name           string   `json:"name"`
		Op             string   `json:"op"`
		MeanDifference *float64 `json:"mean_difference"`
		StdRatio       *float64 `json:"std_ratio"`
		Skewness       *float64 `json:"skewness"`
	} `json:"nodes"`
}

// Around this input the closure holds for small standard deviations and fails
// badly for large ones: at 0.05 the variance is a thousand times too large.
var acasMean = []string{acas, "--mean", "0.1,0.05,-0.1,0.2,-0.1"}

func acasAt(std string, more ...string) []string {
	return append(append(acasMean, "--std", std), more...)
}

// TestAuditVerdict: the audit is there without being asked for, and says
// of every element what Monte Carlo says to within its error.
func TestAuditVerdict(t *testing.T) {
	// Without covariances the standard deviations are half as large.
	for method, verdict := range map[string]string{"moment": "consistent", "diagonal": "closure error"} {
		r := propagateJSON(t, acasAt("0.001", "--method", method, "--seed", "5")...)
		a := r.Audit
		if a == nil || a.Method != method || a.Verdict != verdict || a.Samples < 1000 || a.Samples > 50000+16 || a.Seed != 5 || len(a.Outputs) != 1 || (a.FirstBrokenNode != nil) != (verdict == "closure error") {
			t.Fatalf("%s: got %+v", method, a)
		}
		truth := propagateJSON(t, acasAt("0.001", "--method", "montecarlo", "--samples", "20000")...).Outputs[0]
		o := a.Outputs[0]
		if o.Name != r.Outputs[0].Name || len(o.StdRatio) != 5 {
			t.Fatalf("%s: got %+v", method, o)
		}
		for i := range 5 {
			// 20,000 samples give a mean to 1/sqrt(20000) = 0.7% of a standard
			// deviation and, near a Gaussian, the latter to 0.5%; 5 errors.
			diff, ratio := (r.Outputs[0].Mean[i]-truth.Mean[i])/truth.Std[i], r.Outputs[0].Std[i]/truth.Std[i]
			if math.Abs(*o.MeanDifferenceStd[i]-diff) > 0.035 || math.Abs(*o.StdRatio[i]-ratio) > 0.025 {
				t.Errorf("%s: element %d is off by %v and %v, by Monte Carlo %v and %v", method, i, *o.MeanDifferenceStd[i], *o.StdRatio[i], diff, ratio)
			}
			if !(*o.MeanDifferenceSE[i] > 0 && *o.StdRatioLow[i] < *o.StdRatio[i] && *o.StdRatio[i] < *o.StdRatioHigh[i]) {
				t.Errorf("%s: element %d has the errors %v, %v to %v", method, i, *o.MeanDifferenceSE[i], *o.StdRatioLow[i], *o.StdRatioHigh[i])
			}
		}
	}
	out := mustExecute(t, append([]string{"propagate"}, acasAt("0.001", "--audit", "64", "--explain")...)...)
	if !strings.Contains(out, "\naudit     ") || !strings.Contains(out, "(64 samples)") || !strings.Contains(out, ", with the audit\n") || strings.Contains(out, "skewness") {
		t.Errorf("got\n%s", out)
	}
}

// TestAuditClosureError: the result is printed all the same, and --strict
// makes an error of it.
func TestAuditClosureError(t *testing.T) {
	a := propagateJSON(t, acasAt("0.05")...).Audit
	if a == nil || a.Verdict != "closure error" || a.FirstBrokenNode == nil || len(a.Nodes) == 0 {
		t.Fatalf("got %+v", a)
	}
	found := false
	for _, n := range a.Nodes {
		found = found || n.Name == *a.FirstBrokenNode
	}
	if !found {
		t.Errorf("the first broken node %q is not among the nodes", *a.FirstBrokenNode)
	}
	args := append([]string{"propagate"}, acasAt("0.05")...)
	out := mustExecute(t, append(args, "--explain")...)
	for _, want := range []string{"\naudit     closure error (", "first broken node", "audit of the nodes", "breaks here", "skewness"} {
		if !strings.Contains(out, want) {
			t.Errorf("the text lacks %q:\n%s", want, out)
		}
	}
	stdout, stderr, status := execute(append(args, "--strict")...)
	if status != 1 || !strings.Contains(stdout, "closure error") || !strings.Contains(stderr, "--strict: the audit finds a closure error: ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, stderr %s, stdout\n%s", status, stderr, stdout)
	}
	_, stderr, status = execute(append(args, "--strict", "--audit", "0")...)
	if status != 0 || stderr != "covprop: --strict: nothing was audited\n" {
		t.Errorf("without an audit: status %d, stderr %s", status, stderr)
	}
}

// TestAuditOff: no audit is made of what was not asked to be audited.
func TestAuditOff(t *testing.T) {
	for _, more := range [][]string{{"--audit", "0"}, {"--method", "linear"}, {"--method", "unscented"}, {"--method", "montecarlo"}} {
		if a := propagateJSON(t, acasAt("0.001", more...)...).Audit; a != nil {
			t.Errorf("%v: got %+v", more, a)
		}
	}
	if a := propagateJSON(t, acasAt("0.001", "--method", "linear", "--audit", "100")...).Audit; a == nil || a.Samples != 112 { // a multiple of 16
		t.Errorf("got %+v", a)
	}
}

// TestAuditJSON: what is unknown or infinite is null.
func TestAuditJSON(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	res := covprop.Result{
		Outputs: []covprop.Output{{Name: "a", Len: 1}, {Name: "b", Offset: 1, Len: 2}},
		Audit: &covprop.Audit{
			Verdict: covprop.Inconclusive, Reason: "few", Samples: 64, Seed: 9, FirstBroken: 1, Constant: []int{2},
			MeanDifference: []float64{1, 2, nan}, MeanDifferenceSE: []float64{3, 4, nan},
			StdRatio: []float64{5, 6, nan}, StdRatioLow: []float64{7, 0, nan}, StdRatioHigh: []float64{8, inf, nan},
			Nodes: []covprop.NodeAudit{{Name: "n0", Op: "Gemm", StdRatio: 1}, {Name: "n1", Op: "Relu", MeanDifference: nan, StdRatio: inf, Skewness: 2}},
		},
	}
	const want = `{"method":"moment","verdict":"inconclusive","reason":"few","samples":64,"seed":9,"outputs":[` +
		`{"name":"a","mean_difference_std":[1],"mean_difference_se":[3],"std_ratio":[5],"std_ratio_low":[7],"std_ratio_high":[8]},` +
		`{"name":"b","mean_difference_std":[2,null],"mean_difference_se":[4,null],"std_ratio":[6,null],"std_ratio_low":[0,null],"std_ratio_high":[null,null]}],` +
		`"constant":[{"name":"b","element":1}],"first_broken_node":"n1","nodes":[` +
		`{"name":"n0","op":"Gemm","mean_difference":0,"std_ratio":1,"skewness":0},{"name":"n1","op":"Relu","mean_difference":null,"std_ratio":null,"skewness":2}]}`
	got, err := json.Marshal(newAuditJSON("auto", &res))
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	if newAuditJSON("moment", &covprop.Result{}) != nil {
		t.Error("there is an audit of a result without one")
	}
}

func TestAuditLine(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		audit  covprop.Audit
		method string
		want   string
	}{
		{
			covprop.Audit{Verdict: covprop.Consistent, Reason: "r", Samples: 100, FirstBroken: -1, MeanDifference: []float64{0.01, -0.02}, StdRatio: []float64{0.99, 1.01}},
			moment, "consistent (100 samples): mean within 0.02 std, std ratio 0.99-1.01",
		},
		{
			covprop.Audit{Verdict: covprop.Consistent, Reason: "r", Samples: 100, FirstBroken: -1, MeanDifference: []float64{0.01, nan}, StdRatio: []float64{0.99, nan}, Constant: []int{1}},
			moment, "consistent (100 samples): mean within 0.01 std, std ratio 0.99; 1 of 2 elements constant",
		},
		{
			covprop.Audit{Verdict: covprop.Consistent, Reason: "constant in all samples", Samples: 100, FirstBroken: -1, MeanDifference: []float64{nan}, StdRatio: []float64{nan}, Constant: []int{0}},
			moment, "consistent (100 samples): constant in all samples; 1 of 1 elements constant",
		},
		{
			covprop.Audit{
				Verdict: covprop.ClosureError, Reason: "mean\noff", Samples: 100, FirstBroken: 0,
				MeanDifference: []float64{2}, StdRatio: []float64{3}, Nodes: []covprop.NodeAudit{{Name: "n", Op: "Relu"}},
			},
			auto, "of the method moment: closure error (100 samples): mean\uFFFDoff; first broken node \"n\" (Relu)",
		},
	} {
		if got := auditLine(c.method, &c.audit); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
