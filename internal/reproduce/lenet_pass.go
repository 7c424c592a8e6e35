package reproduce

import (
	"context"
	"math"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/covprop/covprop/internal/kernel"
)

// A pass holds the values of a forward and a backward pass of a few pictures
// through a LeNet. Values are (elements, B): column j is picture j. It belongs
// to one goroutine.
//
// With the values that the taps meet as the matrix X, (inC taps, outPositions
// B), a convolution is Y = W X + b, (outC, outPositions B), which lies in
// memory as (outC outPositions, B). With D = dL/dY (Rumelhart, Hinton and
// Williams 1986)
//
//	dL/dW = D X',   dL/db = D 1,   dL/dX = W' D.
type pass struct {
	net    *LeNet
	batch  int
	values [][]float32 // values[i]: the input of stage i; the last the logits
	met    [][]float32 // met[i]: X of stage i; the input itself for a linear layer
	delta  [][]float32 // delta[i]: dL/d values[i]
	dMet   []float32   // dL/dX of one stage
	turned []float32   // scratch for transposed matrices
}

func newPass(n *LeNet, batch int) *pass {
	p := &pass{net: n, batch: batch}
	largest, largestTurned := 0, 0
	p.values = [][]float32{make([]float32, n.stages[0].inC*n.stages[0].positions*batch)}
	for i := range n.stages {
		s := &n.stages[i]
		met := p.values[i]
		turned := (s.outC + s.inC*s.taps) * batch
		if !s.linear() {
			met = make([]float32, s.inC*s.taps*s.outPositions*batch)
			turned = s.outC * s.inC * s.taps
			largest = max(largest, len(met))
		}
		largestTurned = max(largestTurned, turned)
		p.met = append(p.met, met)
		p.values = append(p.values, make([]float32, s.outC*s.outPositions*batch))
	}
	for _, v := range p.values {
		p.delta = append(p.delta, make([]float32, len(v)))
	}
	p.dMet, p.turned = make([]float32, largest), make([]float32, largestTurned)
	return p
}

// general is a matrix that has the first rows x cols elements of data.
func general(rows, cols int, data []float32) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data[:rows*cols]}
}

// background never ends, so that the products return no error.
var background = context.Background()

// forward computes the logits, (classes, B), of the pictures in values[0].
func (p *pass) forward() []float32 {
	for i := range p.net.stages {
		s := &p.net.stages[i]
		x, y := p.met[i], p.values[i+1]
		if !s.linear() {
			s.gather(x, p.values[i], p.batch)
		}
		cols := s.outPositions * p.batch
		_ = kernel.MulTo(background, 1, general(s.outC, cols, y), general(s.outC, s.inC*s.taps, s.w), general(s.inC*s.taps, cols, x), false)
		for o, b := range s.b {
			row := y[o*cols:][:cols]
			for j, v := range row {
				if row[j] = v + b; s.relu {
					row[j] = max(row[j], 0)
				}
			}
		}
	}
	return p.values[len(p.values)-1]
}

// gather copies the values x, (inC positions, B), that the taps meet to met,
// (inC taps, outPositions B).
func (s *stage) gather(met, x []float32, batch int) {
	for c := range s.inC {
		channel := x[c*s.positions*batch:]
		for t := range s.taps {
			row := met[(c*s.taps+t)*s.outPositions*batch:]
			for o := range s.outPositions {
				if q := s.at[o*s.taps+t]; q >= 0 {
					copy(row[o*batch:][:batch], channel[q*batch:])
				} else {
					clear(row[o*batch:][:batch])
				}
			}
		}
	}
}

// scatter is the transpose of gather: x = the sum of the values of met that
// belong to each.
func (s *stage) scatter(x, met []float32, batch int) {
	clear(x)
	for c := range s.inC {
		channel := x[c*s.positions*batch:]
		for t := range s.taps {
			row := met[(c*s.taps+t)*s.outPositions*batch:]
			for o := range s.outPositions {
				if q := s.at[o*s.taps+t]; q >= 0 {
					to := channel[q*batch:][:batch]
					for j, v := range row[o*batch:][:batch] {
						to[j] += v
					}
				}
			}
		}
	}
}

// backward adds the gradient of the sum over the pictures of scale times the
// cross-entropy of softmax(logits) with the label to grad, which is laid out
// as the parameters. forward must have run. It returns the sum of the
// cross-entropies, without scale.
func (p *pass) backward(grad []float32, labels []byte, scale float32) (loss float64) {
	stages := p.net.stages
	loss = crossEntropy(p.delta[len(stages)], p.values[len(stages)], labels, p.batch, scale)
	var dw, db [][]float32
	p.net.bind(grad, func(_ *stage, w, b []float32) { dw, db = append(dw, w), append(db, b) })
	for i := len(stages) - 1; i >= 0; i-- {
		s := &stages[i]
		d, k, cols := p.delta[i+1], s.inC*s.taps, s.outPositions*p.batch
		if s.relu {
			for j, y := range p.values[i+1] {
				if y <= 0 {
					d[j] = 0
				}
			}
		}
		_ = kernel.MulTransTo(background, 1, general(s.outC, k, dw[i]), general(s.outC, cols, d), general(k, cols, p.met[i]), true)
		for o := range db[i] {
			sum := float32(0)
			for _, v := range d[o*cols:][:cols] {
				sum += v
			}
			db[i][o] += sum
		}
		if i > 0 {
			p.backThrough(s, p.delta[i], d)
		}
	}
	return loss
}

// backThrough computes dL/dx = W' D, which it turns so that it is the smaller
// matrix that is transposed: for a linear layer D and not W.
func (p *pass) backThrough(s *stage, dx, d []float32) {
	k := s.inC * s.taps
	if s.linear() {
		dT, dxT := p.turned[:s.outC*p.batch], p.turned[s.outC*p.batch:][:k*p.batch]
		transpose(dT, d, s.outC, p.batch)
		_ = kernel.MulTo(background, 1, general(p.batch, k, dxT), general(p.batch, s.outC, dT), general(s.outC, k, s.w), false)
		transpose(dx, dxT, p.batch, k)
		return
	}
	cols := s.outPositions * p.batch
	transpose(p.turned, s.w, s.outC, k)
	_ = kernel.MulTo(background, 1, general(k, cols, p.dMet), general(k, s.outC, p.turned), general(s.outC, cols, d), false)
	s.scatter(dx, p.dMet, p.batch)
}

// transpose writes the transpose of src, (rows, cols), to dst.
func transpose(dst, src []float32, rows, cols int) {
	for i := range rows {
		for j, v := range src[i*cols:][:cols] {
			dst[j*rows+i] = v
		}
	}
}

// crossEntropy returns the sum of -log softmax(y)_label over the columns y of
// logits, (classes, B), and writes scale times its derivative,
// softmax(y) - e_label, to d.
func crossEntropy(d, logits []float32, labels []byte, batch int, scale float32) (loss float64) {
	classes := len(logits) / batch
	for j, label := range labels {
		top := math.Inf(-1)
		for c := range classes {
			top = max(top, float64(logits[c*batch+j]))
		}
		sum := 0.
		for c := range classes {
			sum += math.Exp(float64(logits[c*batch+j]) - top)
		}
		for c := range classes {
			y := float64(logits[c*batch+j]) - top
			g := math.Exp(y) / sum
			if c == int(label) {
				g--
				loss += math.Log(sum) - y
			}
			d[c*batch+j] = scale * float32(g)
		}
	}
	return loss
}
