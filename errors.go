package covprop

import (
	"fmt"
	"strings"
)

// A ModelError says what is wrong with a model and where. Empty fields are
// unknown and left out of the message.
type ModelError struct {
	File string // path of the model
	Node string // name of the node; its first output where it has no name
	Op   string // operator, such as "Gemm"
	Err  error  // what is wrong, and what to do about it
}

func (e *ModelError) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s: ", e.File)
	}
	switch {
	case e.Node != "" && e.Op != "":
		fmt.Fprintf(&b, "node %q (%s): ", e.Node, e.Op)
	case e.Node != "":
		fmt.Fprintf(&b, "node %q: ", e.Node)
	case e.Op != "":
		fmt.Fprintf(&b, "%s: ", e.Op)
	}
	b.WriteString(e.Err.Error())
	return b.String()
}

// Unwrap returns the cause.
func (e *ModelError) Unwrap() error { return e.Err }

// An InputError says what is wrong with a mean, a covariance or another value
// handed in.
type InputError struct {
	What string // "mean", "covariance", "standard deviation", ...
	Err  error
}

func (e *InputError) Error() string { return e.What + " " + e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

func inputErrorf(what, format string, args ...any) error {
	return &InputError{What: what, Err: fmt.Errorf(format, args...)}
}

// A MemoryError says that a planned computation would exceed its memory
// limit. It is returned before anything is allocated.
type MemoryError struct {
	Tensor string // the tensor whose covariance is the largest block at the peak
	Bytes  int64  // size of that block
	Peak   int64  // planned peak, in bytes
	Limit  int64  // the limit, in bytes
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("the covariances need %s at the peak (that of tensor %q alone is %s), more than the limit of %s: raise the limit or use the diagonal method",
		FormatBytes(e.Peak), e.Tensor, FormatBytes(e.Bytes), FormatBytes(e.Limit))
}

// FormatBytes writes a size with a binary unit, such as "2.00 GiB".
func FormatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, u := float64(n)/1024, 0
	for v >= 1024 && u < len(units)-1 {
		v, u = v/1024, u+1
	}
	return fmt.Sprintf("%.2f %ciB", v, units[u])
}
