package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/covprop/covprop/internal/reproduce"
	pictures "github.com/covprop/covprop/report" // report is a function of main.go
)

// reproduceCovarianceCmd draws the covariance of two ReLUs.
type reproduceCovarianceCmd struct {
	Points int        `default:"101" placeholder:"N" help:"Points along each side of the square (default: ${default})."`
	Runs   int        `default:"1000" placeholder:"N" help:"Random points at which the exact covariance is checked by quadrature (default: ${default})."`
	Output outputFile `name:"output" short:"o" placeholder:"FILE" help:"Draw to a .svg or .png file, or write all values to a .json file."`
	experimentFlags
}

// Help is shown below the flags' summary.
func (c *reproduceCovarianceCmd) Help() string {
	return `The inputs of the two ReLUs have means in [-5, 5], unit variances and the correlation 0.5. ` +
		`The approximations are the series cut off after the order K, and that of Wu et al. (2019).`
}

func (c *reproduceCovarianceCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	work := reproduce.Covariance{Points: c.Points, Runs: c.Runs, Seed: c.Seed}
	if err := work.Check(); err != nil {
		return usageError{err}
	}
	if err := c.Output.check(".svg", ".png", ".json"); err != nil {
		return err
	}
	r, err := work.Run(e.ctx)
	if err != nil {
		return err
	}
	if err := c.write(r); err != nil {
		return err
	}
	if c.Format == "json" {
		return e.printJSON(c.json(r, false))
	}
	return e.print(c.text(r))
}

// write writes the file that -o names, if it does.
func (c *reproduceCovarianceCmd) write(r *reproduce.CovarianceReport) error {
	switch ext := c.Output.ext(); ext {
	case "":
		return nil
	case ".json":
		return c.Output.writeJSON(c.json(r, true))
	default:
		return c.Output.writeWith(func(w io.Writer) error { return pictures.WriteMaps(w, strings.TrimPrefix(ext, "."), r.Maps()...) })
	}
}

func (c *reproduceCovarianceCmd) text(r *reproduce.CovarianceReport) []byte {
	var p page
	p.linef("experiment  covariance of two ReLUs: means in [-5, 5], unit variances, correlation 0.5")
	p.linef("points      %d x %d", c.Points, c.Points)
	if c.Runs > 0 {
		p.linef("check       the exact covariance and quadrature differ by at most %s at %d random points, seed %d", short(r.Check), c.Runs, c.Seed)
	}
	p.linef("")
	rows := [][]string{{"approximation", "largest error", "at mu1", "mu2"}}
	for _, a := range r.Approximations {
		rows = append(rows, []string{a.Title, fmt.Sprintf("%.3e", a.MaxError), number(a.At[0]), number(a.At[1])})
	}
	p.table(rows, false)
	return p.Bytes()
}

// figureJSON is what reproduce covariance writes; the values of -o FILE.json
// only. Rows of values are those of equal mu2.
type figureJSON struct {
	Schema     int                 `json:"schema"`
	Experiment string              `json:"experiment"`
	Points     int                 `json:"points"`
	Runs       int                 `json:"runs"`
	Seed       uint64              `json:"seed"`
	Check      *float64            `json:"largest_difference_from_quadrature"`
	Methods    []approximationJSON `json:"approximations"`
	Mu         []float64           `json:"mu,omitempty"`
	Exact      [][]float64         `json:"exact,omitempty"`
}

type approximationJSON struct {
	Name     string      `json:"name"`
	Title    string      `json:"title"`
	MaxError float64     `json:"max_error"`
	At       [2]float64  `json:"at"`
	Values   [][]float64 `json:"values,omitempty"`
}

func (c *reproduceCovarianceCmd) json(r *reproduce.CovarianceReport, values bool) *figureJSON {
	f := &figureJSON{Schema: 1, Experiment: "covariance", Points: c.Points, Runs: c.Runs, Seed: c.Seed}
	if c.Runs > 0 {
		f.Check = known(r.Check)
	}
	rows := func(x []float64) (rows [][]float64) {
		for ; values && len(x) > 0; x = x[c.Points:] {
			rows = append(rows, x[:c.Points])
		}
		return rows
	}
	if f.Exact = rows(r.Exact); values {
		f.Mu = r.Mu
	}
	for _, a := range r.Approximations {
		f.Methods = append(f.Methods, approximationJSON{Name: a.Name, Title: a.Title, MaxError: a.MaxError, At: a.At, Values: rows(a.Values)})
	}
	return f
}
