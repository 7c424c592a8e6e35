// Package cpu chooses the instruction set that the kernels run on.
//
// The choice is made once from what the processor and the operating system
// support; the environment variable COVPROP_ISA (generic, avx2 or avx512)
// lowers it. Builds with the tag noasm, and processors other than amd64, have
// only the generic kernels, in Go.
package cpu

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// An ISA is an instruction set. Each includes those before it.
type ISA int32

// The instruction sets. AVX2 stands for AVX2 with FMA, AVX512 for the
// foundation with the DQ, BW and VL extensions, and BMI2.
const (
	Generic ISA = iota
	AVX2
	AVX512
)

var names = [...]string{"generic", "avx2", "avx512"}

func (i ISA) String() string { return names[i] }

// Variable is the environment variable that lowers the instruction set.
const Variable = "COVPROP_ISA"

var current, invalid = fromEnvironment()

func fromEnvironment() (*atomic.Int32, error) {
	c := new(atomic.Int32)
	c.Store(int32(best))
	name := os.Getenv(Variable)
	if name == "" {
		return c, nil
	}
	for i, n := range names {
		if n == name && ISA(i) <= best {
			c.Store(int32(i))
			return c, nil
		}
	}
	return c, fmt.Errorf("%s=%s is no instruction set that this build and machine support: %s", Variable, name, strings.Join(names[:best+1], ", "))
}

// Current returns the instruction set in use.
func Current() ISA { return ISA(current.Load()) }

// Best returns the best one that the machine supports.
func Best() ISA { return best }

// Err reports that the environment asks for an instruction set that does not
// exist or is not supported; the best one is in use then.
func Err() error { return invalid }

// Force sets the instruction set for a test or a benchmark and returns a
// function that sets it back. It panics if the machine does not support i.
func Force(i ISA) (restore func()) {
	if i > best {
		panic("cpu: the machine does not support " + i.String())
	}
	before := current.Swap(int32(i))
	return func() { current.Store(before) }
}
