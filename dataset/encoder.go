package dataset

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
)

// An Encoder turns tables into the numbers that a network takes: numbers with mean
// 0 and variance 1 over the examples that it was made from, categories as one
// number each, 1 for that which is there and 0 for the others. Columns are found by
// their names. It is plain data, to be kept with the model.
type Encoder struct {
	Features []Feature `json:"features"`
	Target   Target    `json:"target"`
	// Impute says that a missing value is replaced by its mean over the examples that
	// the Encoder was made from, for categories their frequencies; else it is an
	// error.
	Impute bool `json:"impute,omitempty"`
	// Constant are the columns that were left out because they do not vary.
	Constant []string `json:"constant,omitempty"`
}

// A Feature is a column that the network takes: a number with Mean and Std, or one
// of Categories, which have Frequencies.
type Feature struct {
	Name        string    `json:"name"`
	Mean        float64   `json:"mean,omitempty"`
	Std         float64   `json:"std,omitempty"`
	Categories  []string  `json:"categories,omitempty"`
	Frequencies []float64 `json:"frequencies,omitempty"`
}

// A Target is the column to predict: a number with Mean and Std, or one of Classes.
type Target struct {
	Name    string   `json:"name"`
	Mean    float64  `json:"mean,omitempty"`
	Std     float64  `json:"std,omitempty"`
	Classes []string `json:"classes,omitempty"`
}

// EncoderOptions say how to make an Encoder.
type EncoderOptions struct {
	Target      string
	Classes     bool     // the target is a class
	Impute      bool     // see [Encoder]
	Categorical []string // columns that are categories although they are numbers
	Exclude     []string // columns that are not for the network
}

// The errors that options avoid: Impute, Exclude and Classes.
var (
	ErrMissing   = errors.New("missing values are refused unless they are to be imputed")
	ErrUnusable  = errors.New("exclude it")
	ErrNotNumber = errors.New("texts can be predicted as classes")
)

// maxCategories bounds the categories of a feature and the classes of a target:
// more are names of the examples, or numbers.
const maxCategories = 1000

// manyClasses is the number beyond which classes must have three examples each.
const manyClasses = 10

// NewEncoder makes an Encoder from a table of examples.
func NewEncoder(t *Table, o EncoderOptions) (*Encoder, error) {
	if t.Rows() < 2 {
		return nil, fmt.Errorf("there are %d rows; at least 2 are needed", t.Rows())
	}
	for _, names := range [][]string{{o.Target}, o.Categorical, o.Exclude} {
		for _, n := range names {
			if t.Column(n) == nil {
				return nil, fmt.Errorf("there is no column %q; there are %s", n, quoted(t.Names()))
			}
		}
	}
	if slices.Contains(o.Exclude, o.Target) {
		return nil, fmt.Errorf("the target %q is excluded", o.Target)
	}
	e := &Encoder{Impute: o.Impute}
	var err error
	if e.Target, err = newTarget(t.Column(o.Target), o.Classes); err != nil {
		return nil, err
	}
	width := 0
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Name == o.Target || slices.Contains(o.Exclude, c.Name) {
			continue
		}
		f, varies, err := newFeature(c, t.Rows(), slices.Contains(o.Categorical, c.Name), o.Impute)
		if err != nil {
			return nil, err
		}
		if !varies {
			e.Constant = append(e.Constant, c.Name)
			continue
		}
		e.Features = append(e.Features, f)
		width += f.width()
	}
	switch {
	case len(e.Features) == 0 && len(e.Constant) > 0:
		return nil, fmt.Errorf("all columns but the target %q are constant: there is nothing to predict it from", o.Target)
	case len(e.Features) == 0:
		return nil, fmt.Errorf("there are no columns besides the target %q", o.Target)
	case t.Rows() > maxCells/width:
		return nil, fmt.Errorf("with a number for every category there are %d rows of %d numbers, more than %d in all; exclude columns", t.Rows(), width, maxCells)
	}
	return e, nil
}

// newTarget makes the target from its column, no value of which may be missing.
func newTarget(c *Column, classes bool) (Target, error) {
	target := Target{Name: c.Name}
	if c.Unusable != "" {
		return target, fmt.Errorf("the target %q cannot be used: %s", c.Name, c.Unusable)
	}
	for i := range max(len(c.Text), len(c.Numbers)) {
		if c.missing(i) {
			return target, fmt.Errorf("the target %q is missing in row %d; leave the row out", c.Name, i+1)
		}
	}
	if classes {
		var err error
		target.Classes, _, err = c.categories()
		switch {
		case err != nil:
			return target, fmt.Errorf("the target %w, too many for classes", err)
		case len(target.Classes) > manyClasses && 3*len(target.Classes) > max(len(c.Text), len(c.Numbers)):
			return target, fmt.Errorf("the target %q has %d different values in %d rows, too many for classes", c.Name, len(target.Classes), max(len(c.Text), len(c.Numbers)))
		case len(target.Classes) < 2:
			return target, fmt.Errorf("the target %q is always %q: there is nothing to learn", c.Name, target.Classes[0])
		}
		return target, nil
	}
	if c.Numbers == nil {
		return target, fmt.Errorf("the target %w; %w", c.notNumber(), ErrNotNumber)
	}
	var err error
	if target.Mean, target.Std, err = c.moments(); err != nil {
		return target, fmt.Errorf("the target %w", err)
	}
	if target.Std == 0 {
		return target, fmt.Errorf("the target %q is always %v: there is nothing to learn", c.Name, c.Numbers[0])
	}
	return target, nil
}

// newFeature makes a feature from its column, and says whether that varies.
func newFeature(c *Column, rows int, categorical, impute bool) (f Feature, varies bool, err error) {
	f.Name = c.Name
	if c.Unusable != "" {
		return f, false, fmt.Errorf("the column %q cannot be used: %s; %w", c.Name, c.Unusable, ErrUnusable)
	}
	known := 0
	for i := range rows {
		switch {
		case !c.missing(i):
			known++
		case !impute:
			return f, false, missingError(c, i)
		}
	}
	switch {
	case known == 0:
		return f, false, nil
	case c.Numbers != nil && !categorical:
		if f.Mean, f.Std, err = c.moments(); err != nil {
			return f, false, fmt.Errorf("the column %w", err)
		}
		return f, f.Std > 0, nil
	}
	if f.Categories, f.Frequencies, err = c.categories(); err != nil {
		return f, false, fmt.Errorf("the column %w; %w if it names the examples", err, ErrUnusable)
	}
	return f, len(f.Categories) > 1, nil
}

func missingError(c *Column, i int) error {
	return fmt.Errorf("the column %q has no value in row %d; %w", c.Name, i+1, ErrMissing)
}

// moments returns mean and standard deviation, which is 0 for a constant, of the
// numbers that are not missing.
func (c *Column) moments() (mean, std float64, err error) {
	known, low, high := 0., math.Inf(1), math.Inf(-1)
	for i, x := range c.Numbers {
		if math.IsInf(x, 0) {
			return 0, 0, fmt.Errorf("%q is not finite in row %d", c.Name, i+1)
		}
		if !math.IsNaN(x) {
			known++
			low, high = min(low, x), max(high, x)
		}
	}
	if low == high {
		return low, 0, nil
	}
	for _, x := range c.Numbers {
		if !math.IsNaN(x) {
			mean += x / known
		}
	}
	for _, x := range c.Numbers {
		if !math.IsNaN(x) {
			std += (x - mean) / known * (x - mean)
		}
	}
	if std = math.Sqrt(std); !(std > 0 && std < math.Inf(1)) {
		return 0, 0, fmt.Errorf("%q has values from %v to %v, whose variance is no float64; scale it", c.Name, low, high)
	}
	return mean, std, nil
}

// notNumber says which element of a column without Numbers is none.
func (c *Column) notNumber() error {
	i := slices.IndexFunc(c.Text, func(s string) bool { return parseNumbers([]string{s}) == nil })
	return fmt.Errorf("%q is no number in row %d, but %q", c.Name, i+1, c.Text[i])
}

// category returns element i as a text.
func (c *Column) category(i int) string {
	if c.Text != nil {
		return c.Text[i]
	}
	return strconv.FormatFloat(c.Numbers[i], 'g', -1, 64)
}

// categories returns the different values that are not missing, numbers by size and
// texts by the alphabet, and how frequent they are.
func (c *Column) categories() (values []string, frequencies []float64, err error) {
	counts, number, known := map[string]int{}, map[string]float64{}, 0
	for i := range max(len(c.Text), len(c.Numbers)) {
		if c.missing(i) {
			continue
		}
		s := c.category(i)
		counts[s]++
		known++
		if c.Numbers != nil {
			number[s] = c.Numbers[i]
		}
		if len(counts) > maxCategories {
			return nil, nil, fmt.Errorf("%q has more than %d different values", c.Name, maxCategories)
		}
	}
	for s := range counts {
		values = append(values, s)
	}
	slices.SortFunc(values, func(a, b string) int {
		if d := number[a] - number[b]; d != 0 {
			return int(math.Copysign(1, d))
		}
		return strings.Compare(a, b)
	})
	for _, s := range values {
		frequencies = append(frequencies, float64(counts[s])/float64(known))
	}
	return values, frequencies, nil
}

func (f *Feature) width() int { return max(1, len(f.Categories)) }

// Width returns the number of inputs of the network.
func (e *Encoder) Width() int {
	n := 0
	for i := range e.Features {
		n += e.Features[i].width()
	}
	return n
}

// Check returns an error if e, which comes from a file, makes no sense.
func (e *Encoder) Check() error {
	if len(e.Features) == 0 {
		return errors.New("there are no features")
	}
	check := func(name string, mean, std float64, categories []string) error {
		switch {
		case name == "":
			return errors.New("a column has no name")
		case len(categories) > 0 && !distinct(categories):
			return fmt.Errorf("a category of %q is there twice", name)
		case len(categories) == 0 && (math.IsNaN(mean-mean) || !(std > 0 && std < math.Inf(1))):
			return fmt.Errorf("%q has the mean %v and the standard deviation %v", name, mean, std)
		}
		return nil
	}
	names := []string{e.Target.Name}
	for i := range e.Features {
		f := &e.Features[i]
		if err := check(f.Name, f.Mean, f.Std, f.Categories); err != nil {
			return err
		}
		if len(f.Frequencies) != len(f.Categories) {
			return fmt.Errorf("%q has %d categories and %d frequencies", f.Name, len(f.Categories), len(f.Frequencies))
		}
		names = append(names, f.Name)
	}
	if !distinct(names) {
		return errors.New("two columns have the same name")
	}
	if len(e.Target.Classes) == 1 {
		return fmt.Errorf("the target %q has one class", e.Target.Name)
	}
	return check(e.Target.Name, e.Target.Mean, e.Target.Std, e.Target.Classes)
}

func distinct(texts []string) bool {
	return len(slices.Compact(slices.Sorted(slices.Values(texts)))) == len(texts)
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = strconv.Quote(n)
	}
	return strings.Join(q, ", ")
}

// matrix returns a matrix of zeros.
func matrix(rows, columns int) blas64.General {
	return blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: make([]float64, rows*columns)}
}
