package covprop_test

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const modelDir = "testdata/models"

// TestModelManifest checks that every model and vector is the one whose source
// and licence the manifest states, and that none goes unmentioned.
func TestModelManifest(t *testing.T) {
	f, err := os.Open(filepath.Join(modelDir, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	r.LazyQuotes = true
	rows, err := r.ReadAll() // every row must have the fields of the first
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(rows[0], " "), "file source path commit licence sha256 what"; got != want {
		t.Fatalf("the columns are %q, want %q", got, want)
	}
	listed := map[string]bool{}
	for _, row := range rows[1:] {
		file, licence, sum := row[0], row[4], row[5]
		listed[file] = true
		data, err := os.ReadFile(filepath.Join(modelDir, filepath.FromSlash(file)))
		if err != nil {
			t.Error(err)
			continue
		}
		if got := sha256.Sum256(data); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s: SHA-256 is %x, the manifest says %s", file, got, sum)
		}
		if licence == "" {
			t.Errorf("%s: no licence is stated", file)
		}
		if _, text, ok := strings.Cut(licence, "(licenses/"); ok {
			if _, err := os.Stat(filepath.Join(modelDir, "licenses", strings.TrimSuffix(text, ")"))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	err = filepath.WalkDir(modelDir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(modelDir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch filepath.Ext(rel) {
		case ".onnx", ".bin", ".json":
			if !listed[rel] {
				t.Errorf("%s is not in the manifest", rel)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDemoInputs recomputes the inputs of the demo from the readings, limits
// of error and data moments that testdata/demo/README.md states.
func TestDemoInputs(t *testing.T) {
	reading := []float64{29.74, 56.9, 1007.15, 41.91}
	mean := []float64{19.65123119, 54.30580372, 1013.25907818, 73.30897784}
	std := []float64{7.45208377, 12.7072289, 5.93847335, 14.59950576}
	limit := []float64{0.5, 0.5, 1, 3}

	const n = 4
	var noise [n][n]float64 // covariance in the sensors' units
	for i, a := range limit {
		noise[i][i] = a * a / 3
	}
	const at, rh = 0, 3
	// d ln e/dt of Magnus's formula, times -RH.
	g := -reading[rh] * 17.62 * 243.12 / math.Pow(243.12+reading[at], 2)
	noise[rh][rh] += g * g * noise[at][at]
	noise[at][rh] = g * noise[at][at]
	noise[rh][at] = noise[at][rh]

	// The files carry ten significant digits.
	check := func(file string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
	gotMean := readCSV(t, "testdata/demo/power_mean.csv")[0]
	gotCov := readCSV(t, "testdata/demo/power_cov.csv")
	for i := range n {
		check("power_mean.csv", gotMean[i], (reading[i]-mean[i])/std[i])
		for j := range n {
			check("power_cov.csv", gotCov[i][j], noise[i][j]/(std[i]*std[j]))
		}
	}
}

func readCSV(t *testing.T, file string) [][]float64 {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	values := make([][]float64, len(rows))
	for i, row := range rows {
		for _, s := range row {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			values[i] = append(values[i], v)
		}
	}
	return values
}
