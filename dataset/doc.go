// Package dataset reads the files that data sets come in: tables, as CSV, NPY or
// Parquet, which an Encoder turns into the numbers that a network takes; and IDX,
// the format of the MNIST database, and that database itself.
//
// Files come from elsewhere and are not trusted: their claims are checked, and
// bounded, before memory is allocated for them. An error is one sentence that
// names the file and says what to do.
//
// The package downloads nothing.
package dataset
