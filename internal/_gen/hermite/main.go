// Command hermite writes the loops over the units of a layer: the recurrence
// of their Hermite coefficients, the tails of those, and the moments of
// half-lines. The Go functions of the same names in package kernel define them,
// down to the last bit but for the roots.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Those of package kernel.
const (
	orders       = 12 // of the grid
	coefficients = 30 // of each polynomial of halfLine
)

func main() {
	ConstraintExpr("amd64,!noasm")
	for _, v := range []isa{avx512{}, avx2{}} {
		hermite(v)
		tails(v)
		halfLine(v)
	}
	Generate()
}

// columns runs body for one group of units after the other, until n are done.
// ptrs point at the units' entries and move along. It ends the function.
func columns(v isa, n Register, ptrs []Register, body func(vectors int)) {
	for _, vectors := range v.groups() {
		name := "group" + string(rune('0'+vectors))
		Label(name)
		v.begin(n, vectors, name+"_none")
		body(vectors)
		for _, p := range ptrs {
			ADDQ(U32(vectors*v.bytes()), p)
		}
		SUBQ(Imm(uint64(vectors*v.bytes()/8)), n)
		JMP(LabelRef(name))
		Label(name + "_none")
	}
	v.end()
	RET()
}

// hermite is kernel.HermiteTo.
func hermite(v isa) {
	TEXT("hermite"+v.name(), NOSPLIT, "func(h *float64, stride, rows, n int, start, alpha, c *float64, add int)")
	Doc("hermite" + v.name() + " is HermiteTo, where add is not 0 adding to h.")
	Pragma("noescape")
	h, stride := Load(Param("h"), GP64()), Load(Param("stride"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	start, alpha := Load(Param("start"), GP64()), Load(Param("alpha"), GP64())
	c, add := Load(Param("c"), GP64()), Load(Param("add"), GP64())
	SHLQ(Imm(3), stride)
	row, step, left := GP64(), GP64(), GP64()
	columns(v, n, []Register{h, start, alpha}, func(vectors int) {
		abs, smallest := v.magnitude(), v.constant(0x1p-511)
		a, p, prev := v.registers(vectors), v.registers(vectors), v.registers(vectors)
		for i := range vectors {
			v.load(i, start, p[i])
			v.load(i, alpha, a[i])
			v.zero(prev[i])
		}
		MOVQ(h, row)
		MOVQ(c, step)
		MOVQ(rows, left)
		TESTQ(add, add)
		plain, adding, done := unique("plain"), unique("adding"), unique("done")
		JZ(LabelRef(plain))
		for _, name := range []string{adding, plain} {
			Label(name)
			for range 2 { // after which p and prev have their registers again
				for i := range vectors {
					t := v.registers(1)[0]
					if name == adding {
						v.load(i, row, t)
						VADDPD(p[i], t, t)
						v.significant(t, t, abs, smallest)
					} else {
						v.significant(p[i], t, abs, smallest)
					}
					v.store(i, t, row)
					v.times(Mem{Base: step}, a[i], t)
					v.times(Mem{Base: step, Disp: 8}, prev[i], prev[i])
					VFMSUB231PD(t, p[i], prev[i]) // t p - prev
				}
				p, prev = prev, p
				ADDQ(stride, row)
				ADDQ(Imm(16), step)
				DECQ(left)
				JZ(LabelRef(done))
			}
			JMP(LabelRef(name))
		}
		Label(done)
	})
}

// tails is kernel.TailsTo. stride is that of h and of tail.
func tails(v isa) {
	TEXT("tails"+v.name(), NOSPLIT, "func(tail, h *float64, stride int, rows *int, noise, sum *float64, n int)")
	Doc("tails" + v.name() + " is TailsTo for units that lie side by side.")
	Pragma("noescape")
	tail, h, stride := Load(Param("tail"), GP64()), Load(Param("h"), GP64()), Load(Param("stride"), GP64())
	rows, noise := Load(Param("rows"), GP64()), Load(Param("noise"), GP64())
	sum, n := Load(Param("sum"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(3), stride)
	row, out, block, left := GP64(), GP64(), GP64(), GP64()
	columns(v, n, []Register{tail, h, noise, sum}, func(vectors int) {
		acc, total := v.registers(vectors), v.registers(vectors)
		x := v.registers(vectors)
		for i := range vectors {
			v.zero(total[i])
		}
		MOVQ(h, row)
		MOVQ(tail, out)
		SUBQ(stride, out) // the first block has no tail
		XORQ(block, block)
		blocks, squares, sized := unique("blocks"), unique("squares"), unique("sized")
		Label(blocks)
		for i := range vectors {
			v.zero(acc[i])
		}
		MOVQ(Mem{Base: rows, Index: block, Scale: 8}, left)
		TESTQ(left, left)
		JZ(LabelRef(sized))
		Label(squares)
		for i := range vectors {
			v.load(i, row, x[i])
			VFMADD231PD(x[i], x[i], acc[i])
		}
		ADDQ(stride, row)
		DECQ(left)
		JNZ(LabelRef(squares))
		Label(sized)
		for i := range vectors {
			VADDPD(acc[i], total[i], total[i])
		}
		first := unique("first")
		TESTQ(block, block)
		JZ(LabelRef(first))
		for i := range vectors {
			v.store(i, acc[i], out)
		}
		Label(first)
		ADDQ(stride, out)
		INCQ(block)
		CMPQ(block, Imm(orders+1))
		JL(LabelRef(blocks))

		rest := total
		for i := range vectors {
			v.store(i, total[i], sum)
			v.remainder(i, noise, rest[i])
		}
		roots := unique("roots")
		Label(roots)
		SUBQ(stride, out)
		for i := range vectors {
			v.load(i, out, x[i])
			VADDPD(x[i], rest[i], rest[i])
			v.root(rest[i], x[i])
			v.store(i, x[i], out)
		}
		DECQ(block)
		CMPQ(block, Imm(1))
		JG(LabelRef(roots))
	})
}

// halfLine is kernel.HalfLineTo.
func halfLine(v isa) {
	TEXT("halfLine"+v.name(), NOSPLIT, "func(j0, j1, j2, a, phi, c *float64, n int)")
	Doc("halfLine" + v.name() + " is HalfLineTo.")
	Pragma("noescape")
	var j [3]Register
	for m, name := range []string{"j0", "j1", "j2"} {
		j[m] = Load(Param(name), GP64())
	}
	a, phi, c := Load(Param("a"), GP64()), Load(Param("phi"), GP64()), Load(Param("c"), GP64())
	n := Load(Param("n"), GP64())
	coef, left := GP64(), GP64()
	columns(v, n, append(j[:], a, phi), func(vectors int) {
		q, t, f := v.registers(vectors), v.registers(vectors), v.registers(vectors)
		p := [3][]VecVirtual{v.registers(vectors), v.registers(vectors), v.registers(vectors)}
		one, shift, scale, offset := v.constant(1), v.constant(3), v.constant(84./13), v.constant(-15./13)
		for i := range vectors {
			v.load(i, a, q[i])
			VADDPD(shift, q[i], q[i])
			VDIVPD(q[i], one, q[i])
			VMOVAPD(offset, t[i])
			VFMADD231PD(scale, q[i], t[i])
			for m := range p {
				v.zero(p[m][i])
			}
		}
		MOVQ(c, coef)
		MOVQ(U32(coefficients), left)
		horner := unique("horner")
		Label(horner)
		k := v.registers(1)[0]
		for m := range p {
			VBROADCASTSD(Mem{Base: coef, Disp: 8 * m}, k)
			for i := range vectors {
				VFMADD213PD(k, t[i], p[m][i]) // p t + k
			}
		}
		ADDQ(Imm(24), coef)
		DECQ(left)
		JNZ(LabelRef(horner))
		for i := range vectors {
			v.load(i, phi, f[i])
			for m := range p {
				VMULPD(p[m][i], q[i], p[m][i])
				VMULPD(p[m][i], f[i], f[i])
				v.store(i, f[i], j[m])
			}
		}
	})
}

var labels int

// unique returns a label that no other place of the file has.
func unique(name string) string {
	labels++
	return name + "_" + string(rune('a'+labels/26)) + string(rune('a'+labels%26))
}
