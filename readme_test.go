package covprop_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// TestReadmeExample checks that the Go code in README is the body of Example,
// which the go command compiles and runs, and that the output shown is its.
func TestReadmeExample(t *testing.T) {
	blocks := fences(t, "README.md", "go")
	if len(blocks) != 1 {
		t.Fatalf("README has %d Go blocks, want the one that is Example", len(blocks))
	}
	src, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "example_test.go", src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var body string
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "Example" {
			body = string(src[fset.Position(f.Body.Lbrace).Offset+1 : fset.Position(f.Body.Rbrace).Offset])
		}
	}
	code, output, ok := strings.Cut(body, "// Output:")
	if !ok {
		t.Fatal("example_test.go has no func Example with an output")
	}
	unindent := func(s, prefix string) string {
		var lines []string
		for l := range strings.Lines(s) {
			lines = append(lines, strings.TrimSuffix(strings.TrimPrefix(l, prefix), "\n"))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	if want := unindent(code, "\t"); blocks[0] != want {
		t.Errorf("README shows\n%s\n\nbut Example is\n%s", blocks[0], want)
	}
	want := unindent(output, "\t// ")
	if shown := fences(t, "README.md", "text"); len(shown) == 0 || shown[0] != want {
		t.Errorf("README shows the output %q, but that of Example is %q", shown, want)
	}
}

// TestReadmeCommands runs every "$ covprop ..." of README and compares what it
// prints, numbers to the digits shown.
func TestReadmeCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	bin := buildCommand(t)
	if runCommands(t, bin, ".", fences(t, "README.md", "console"), differs) == 0 {
		t.Error("README has no commands")
	}
}

// TestBayesCommands runs those of docs/bayes.md, one after the other in a folder of
// their own, and compares the words. Numbers are free: a training multiplies
// differences in rounding between platforms.
func TestBayesCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "testdata", "concrete"), os.DirFS("testdata/concrete")); err != nil {
		t.Fatal(err)
	}
	mask := func(s string) string { return anyNumber.ReplaceAllString(s, "#") }
	if runCommands(t, buildCommand(t), dir, fences(t, "docs/bayes.md", "console"), func(got, want string) string {
		return differs(mask(got), mask(want))
	}) < 5 {
		t.Error("docs/bayes.md lacks commands")
	}
}

var anyNumber = regexp.MustCompile(`-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?`)

// buildCommand builds covprop and returns where it is.
func buildCommand(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "covprop")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/covprop").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// runCommands runs every "$ covprop ..." of blocks in dir and compares what it prints.
// It returns how many there were.
func runCommands(t *testing.T, bin, dir string, blocks []string, differs func(got, want string) string) (commands int) {
	t.Helper()
	for _, block := range blocks {
		for _, c := range strings.Split("\n"+strings.ReplaceAll(block, "\\\n", " "), "\n$ ")[1:] {
			line, want, _ := strings.Cut(c, "\n")
			args := strings.Fields(line)
			if args[0] != "covprop" {
				continue
			}
			commands++
			var out, stderr bytes.Buffer
			cmd := exec.Command(bin, args[1:]...)
			cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &stderr
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v\n%s", line, err, &stderr)
				continue
			}
			if msg := differs(out.String(), want); msg != "" {
				t.Errorf("%s: %s\nit prints\n%s", line, msg, &out)
			}
		}
	}
	return commands
}

// differs says where the lines of want, as README shows them, are not those of
// got. A line "..." in want stands for any number of lines.
func differs(got, want string) string {
	g := strings.Split(strings.TrimSpace(got), "\n")
	skipping := false
	for w := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		if strings.TrimSpace(w) == "..." {
			skipping = true
			continue
		}
		for skipping && len(g) > 0 && !sameLine(g[0], w) {
			g = g[1:]
		}
		if len(g) == 0 {
			return "it does not print " + strconv.Quote(w)
		}
		if !sameLine(g[0], w) {
			return "it prints " + strconv.Quote(g[0]) + " where README has " + strconv.Quote(w)
		}
		g, skipping = g[1:], false
	}
	if len(g) > 0 && !skipping {
		return "it prints more than README shows: " + strconv.Quote(g[0])
	}
	return ""
}

var (
	// duration is an elapsed time, which differs from run to run.
	duration = regexp.MustCompile(`^[0-9.]+ ?(ns|µs|us|ms|s|m),?$`)
	// number is a decimal with what may stand round it in a table or a list.
	number = regexp.MustCompile(`^([^0-9+-]*)([+-]?[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)([^0-9]*)$`)
)

// sameLine compares field by field, so that the width of a column is free.
func sameLine(got, want string) bool {
	g, w := strings.Fields(got), strings.Fields(want)
	if len(g) != len(w) {
		return false
	}
	for i := range g {
		if g[i] == w[i] || duration.MatchString(g[i]) && duration.MatchString(w[i]) {
			continue
		}
		if i+1 < len(g) && g[i+1] == "ms" && w[i+1] == "ms" {
			continue
		}
		a, b := number.FindStringSubmatch(g[i]), number.FindStringSubmatch(w[i])
		if a == nil || b == nil || a[1] != b[1] || a[3] != b[3] || !sameNumber(a[2], b[2]) {
			return false
		}
	}
	return true
}

// sameNumber allows two units in the last digit shown: platforms differ in
// rounding, and where a digit is on the edge that shows.
func sameNumber(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX != nil || errY != nil {
		return false
	}
	mantissa, exponent, _ := strings.Cut(b, "e")
	_, decimals, ok := strings.Cut(mantissa, ".")
	if !ok && exponent == "" {
		return x == y // a count
	}
	unit := math.Pow10(-len(decimals))
	if e, err := strconv.Atoi(exponent); err == nil {
		unit *= math.Pow10(e)
	}
	return math.Abs(x-y) <= 2.5*unit
}

// TestSameLine holds the comparison to account: it must see a difference.
func TestSameLine(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{"mean  0.1234  12.5ms", "mean 0.1235 9ms", true},
		{"mean 0.1234 8 ms", "mean 0.1234 17 ms", true},
		{"bound 1.21e-10", "bound 1.2e-10", true},
		{"mean 0.1234", "mean 0.1244", false},
		{"bound 1.9e-10", "bound 1.2e-10", false},
		{"mean 0.1234", "std 0.1234", false},
		{"mean 0.1234 1", "mean 0.1234", false},
		{"mean -0.1234", "mean 0.1234", false},
		{"13311 parameters", "13310 parameters", false},
	} {
		if got := sameLine(c.got, c.want); got != c.same {
			t.Errorf("sameLine(%q, %q) = %v", c.got, c.want, got)
		}
	}
}

// fences returns a file's fenced blocks of a language, without the fences.
func fences(t *testing.T, file, lang string) []string {
	t.Helper()
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```"+lang+"\n(.*?)^```$").FindAllSubmatch(src, -1) {
		blocks = append(blocks, strings.TrimSpace(string(m[1])))
	}
	return blocks
}
