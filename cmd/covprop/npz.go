package main

import (
	"archive/zip"
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"codeberg.org/sbinet/npyio"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/covprop/covprop"
)

// writeNPZ writes the arrays of a result: out0/mean (n), out0/std (n),
// out0/cov (n, n), the same for out1 and so on, cross/0_1 for the covariance
// between out0 and out1, and names.json, the list of the outputs' names. With
// one output they are there as mean, std and cov, too. Without covariances
// cov and cross are absent. Then come the arrays of writeInputs, with or
// without the covariance with the inputs, and those of the classes.
func writeNPZ(w io.Writer, r *findings, keepInput bool) error {
	z := npzWriter{zip.NewWriter(w)}
	if err := z.outputs(&r.res); err != nil {
		return err
	}
	if err := r.writeInputs(z, keepInput); err != nil {
		return err
	}
	if err := r.classes.write(z); err != nil {
		return err
	}
	return z.Close()
}

// outputs writes the moments of the outputs and their names.
func (z npzWriter) outputs(res *covprop.Result) error {
	var names []string
	for i, o := range res.Outputs {
		names = append(names, o.Name)
		prefixes := []string{fmt.Sprintf("out%d/", i)}
		if len(res.Outputs) == 1 {
			prefixes = append(prefixes, "")
		}
		g := res.Output(i)
		for _, prefix := range prefixes {
			if err := z.vector(prefix+"mean", g.Mean); err != nil {
				return err
			}
			if err := z.vector(prefix+"std", g.Std()); err != nil {
				return err
			}
			if cov, ok := res.Cross(i, i); ok {
				if err := z.matrix(prefix+"cov", cov); err != nil {
					return err
				}
			}
		}
		for j := i + 1; j < len(res.Outputs); j++ {
			if cov, ok := res.Cross(i, j); ok {
				if err := z.matrix(fmt.Sprintf("cross/%d_%d", i, j), cov); err != nil {
					return err
				}
			}
		}
	}
	return z.names(names)
}

// npzWriter writes NumPy arrays, which hardly compress, as stored entries of a
// zip archive, like numpy.savez. (The writer of npyio/npz has no room for
// names.json.)
type npzWriter struct{ *zip.Writer }

func (z npzWriter) entry(name string) (io.Writer, error) {
	return z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
}

func (z npzWriter) array(name string, v any) error {
	w, err := z.entry(name + ".npy")
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	if err := npyio.Write(b, v); err != nil {
		return err
	}
	return b.Flush()
}

func (z npzWriter) vector(name string, x []float64) error { return z.array(name, x) }

func (z npzWriter) matrix(name string, a blas64.General) error {
	var m mat.Dense
	m.SetRawMatrix(a)
	return z.array(name, &m)
}

func (z npzWriter) names(names []string) error {
	w, err := z.entry("names.json")
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(names)
}
