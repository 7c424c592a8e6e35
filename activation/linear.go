package activation

// LinearPieces are the pieces of a piecewise linear activation: piece i is
// Value[i] + Slope[i] x and lies between At[i-1] and At[i], where those exist.
type LinearPieces struct {
	Knots int // at most 2
	At    [2]float64
	Value [3]float64
	Slope [3]float64
}

// LinearPiecesOf returns the pieces of a, which may jump where they meet; ok is
// false if a is not known to be piecewise linear.
func LinearPiecesOf(a Activation) (l LinearPieces, ok bool) {
	if i, is := a.(identity); is {
		a = i.piecewise
	}
	p := piecesOf(a)
	if !p.linear {
		return l, false
	}
	return LinearPieces{Knots: p.n, At: p.at, Value: p.value, Slope: p.slope}, true
}

// Jumps reports whether the function jumps where pieces meet.
func (l *LinearPieces) Jumps() bool {
	for i := range l.Knots {
		if l.Value[i]+l.Slope[i]*l.At[i] != l.Value[i+1]+l.Slope[i+1]*l.At[i] {
			return true
		}
	}
	return false
}
