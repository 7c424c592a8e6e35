package activation

import (
	"reflect"
	"strings"
	"testing"
)

// TestParse checks that every name that Parse knows, and what Name writes of the
// activation, stands for the same.
func TestParse(t *testing.T) {
	for _, name := range append(Names(), "leaky_relu_0.25", "hard_sigmoid_0.1_-0.5", "elu_1e-05", "elu_2") {
		a, err := Parse(name)
		if err != nil {
			t.Error(err)
			continue
		}
		b, err := Parse(a.Name())
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s is %#v, whose name %s is %#v, %v", name, a, a.Name(), b, err)
		}
		if !strings.HasPrefix(a.Name(), name) {
			t.Errorf("%s has the name %s", name, a.Name())
		}
	}
	for name, want := range map[string]string{
		"": "there is no", "ReLU": "there is no", "relu_1": "there is no", "elu_": "no finite number", "elu_nan": "no finite number",
		"elu_1_2": "has 1 parameters", "elux": "has 1 parameters", "hard_sigmoid_1": "has 2 parameters",
	} {
		if a, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", name, a, err, want)
		}
	}
}
