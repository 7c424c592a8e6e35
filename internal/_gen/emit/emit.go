// Package emit holds pieces of assembly that several generators use.
package emit
