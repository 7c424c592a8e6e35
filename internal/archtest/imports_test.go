package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/covprop/covprop"
	root   = "../.."
)

// order lists the units of the module, lowest first. A package may import
// those on the lines before its own, and packages of its own unit. Units that
// share a line do not know each other.
//
// The last two lines are for tests: ordinary code imports neither, but optest
// may use internal/ref.
var order = [][]string{
	{"internal/cpu", "internal/special", "internal/onnxpb", "internal/safetensors", "internal/npy"},
	{"internal/vec"},
	{"internal/kernel"},
	{"internal/qmc"},
	{"."},
	{"internal/sample"},
	{"activation", "score", "classify"},
	{"layer"},
	{"graph"},
	{"onnx", "baseline", "bayes"},
	{"refine"},
	{"dataset", "report", "internal/bench"},
	{"modelfile"},
	{"internal/reproduce"},
	{"server", "batch"},
	{"cmd"},
	{"internal/ref", "internal/archtest"},
	{"optest"},
}

// unit returns the entry of order that the package in dir belongs to, and its
// line; the line is -1 if there is none.
func unit(dir string) (name string, line int) {
	for i, units := range order {
		for _, u := range units {
			if dir == u || u != "." && strings.HasPrefix(dir, u+"/") {
				return u, i
			}
		}
	}
	return "", -1
}

// violation says what is wrong with a non-test import, or "".
func violation(from, to string) string {
	fromUnit, fromLine := unit(from)
	toUnit, toLine := unit(to)
	testOnly := map[string]bool{"internal/ref": true, "internal/archtest": true, "optest": true}
	switch {
	case fromLine < 0:
		return from + " has no place in the order of packages; give it one in this test"
	case toLine < 0:
		return from + " imports " + to + ", which has no place in the order of packages"
	case fromUnit == toUnit:
		return ""
	case testOnly[toUnit] && !(fromUnit == "optest" && toUnit == "internal/ref"):
		return from + " imports " + to + ", which only tests may"
	case fromUnit == "internal/ref":
		return from + " imports " + to + ": the reference stands on its own"
	case toUnit == "cmd":
		return from + " imports " + to + ": nothing imports the command"
	case fromLine <= toLine:
		return from + " imports " + to + ", which is not below it"
	}
	return ""
}

func TestImportsFollowTheOrder(t *testing.T) {
	edges := 0
	walkGo(t, func(file string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if p != module && !strings.HasPrefix(p, module+"/") {
				continue
			}
			edges++
			to := path.Clean(strings.TrimPrefix(strings.TrimPrefix(p, module), "/"))
			if v := violation(path.Dir(file), to); v != "" {
				t.Errorf("%s: %s", file, v)
			}
		}
	})
	if edges < 5 {
		t.Errorf("saw %d imports between packages of the module: the walk missed them", edges)
	}
}

func TestEveryPackageHasAPlace(t *testing.T) {
	seen := map[string]bool{}
	walkGo(t, func(file string) {
		dir := path.Dir(file)
		if _, line := unit(dir); line < 0 && !seen[dir] {
			t.Errorf("package %s has no place in the order of packages; give it one in this test", dir)
		}
		seen[dir] = true
	})
}

// TestViolation holds the rule itself to account.
func TestViolation(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"layer", "activation", true},
		{"layer", ".", true},
		{".", "internal/special", true},
		{"bayes/train", "bayes", true},
		{"cmd/covprop", "onnx", true},
		{"optest", "internal/ref", true},
		{"optest", "layer", true},
		{"activation", "layer", false},
		{".", "activation", false},
		{"onnx", "baseline", false},
		{"activation", "score", false},
		{"internal/special", "internal/kernel", false},
		{"onnx", "cmd/covprop", false},
		{"layer", "optest", false},
		{"layer", "internal/ref", false},
		{"internal/ref", "internal/special", false},
		{"cmd/covprop", "internal/ref", false},
		{"newcomer", "layer", false},
		{"layer", "newcomer", false},
	} {
		if v := violation(c.from, c.to); (v == "") != c.ok {
			t.Errorf("%s importing %s: got %q, want ok %v", c.from, c.to, v, c.ok)
		}
	}
}

// walkGo calls visit with the slash-separated path, relative to the root of
// the module, of every Go file that the go command would look at.
func walkGo(t *testing.T, visit func(file string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (name[0] == '.' || name[0] == '_' || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && name[0] != '.' && name[0] != '_' {
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			visit(filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
