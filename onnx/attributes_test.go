package onnx

import (
	"encoding/json"
	"os"
	"testing"
)

// TestAttributes compares the table with the schemas of the operators: each
// must have the same attributes in the same operator sets.
func TestAttributes(t *testing.T) {
	data, err := os.ReadFile("testdata/attributes.json")
	if err != nil {
		t.Fatal(err)
	}
	var schemas map[string]map[string][2]int // the first and the last opset
	if err := json.Unmarshal(data, &schemas); err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{"no_such": true}
	for _, s := range schemas {
		for name := range s {
			all[name] = true
		}
	}
	for op := range attributes {
		if _, known := table[op]; !known {
			t.Errorf("%s has attributes, but is no operator of the package", op)
		}
	}
	for op := range table {
		s, known := schemas[op]
		if !known {
			t.Errorf("%s has no schema", op)
		}
		for name := range all {
			at, has := s[name]
			for opset := max(table[op].since, oldestOpset); opset <= newestOpset; opset++ {
				want := has && at[0] <= opset && opset <= at[1]
				if got := hasAttribute(op, name, opset); got != want {
					t.Errorf("%s has the attribute %s in opset %d: %v, want %v", op, name, opset, got, want)
				}
			}
		}
	}
}
