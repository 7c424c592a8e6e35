package refine

import (
	"context"

	"gonum.org/v1/gonum/blas/blas64"

	"github.com/covprop/covprop/internal/kernel"
)

// higher returns the third and fourth cumulants of pairs of outputs,
// (i, j) -> kappa_iij and kappa_iijj. cov is Cov x. For i != j
//
//	kappa_iij  = Cov_G((y_i-m_i)^2, y_j) + l_ij q_2i a_1j/2 + l_ji q_1i a_2j/2 + f_ij q_2i a_2j/4
//	kappa_iijj = Cov_G((y_i-m_i)^2, (y_j-m_j)^2) + l_ij q_2i q_1j/2 + l_ji q_1i q_2j/2 + f_ij q_2i q_2j/4
//	             - 2 Cov_G(y_i, y_j)^2
//
// with the Gaussian parts from their Hermite series, and for single units
//
//	kappa_iii  = b_0 + l_ii b_3/6 + f_ii b_4/24 - 3 shift_i q_0
//	kappa_iiii = d_0 - 3 q_0^2 + l_ii (d_3/6 - q_0 q_3) + f_ii (d_4/24 - q_0 q_4/4) - 4 shift_i b_0.
//
// f enters kappa_iij and kappa_iii only where fourth cumulants are used.
func (e *expansion) higher(ctx context.Context, threads int, cov blas64.General) (iij, iijj blas64.General, err error) {
	n, c := len(e.shift), e.c
	iij, iijj = newGeneral(n, n), newGeneral(n, n)
	s := kernel.Series{F: &c.squares, G: &c.units, Order: seriesOrder}
	if _, _, err = s.Run(ctx, threads, iij, cov); err != nil {
		return iij, iijj, err
	}
	s = kernel.Series{F: &c.squares, G: &c.squares, Symmetric: true, Order: seriesOrder}
	if _, _, err = s.Run(ctx, threads, iijj, cov); err != nil {
		return iij, iijj, err
	}
	for i := range n {
		for j, g := range row(e.gauss, i) {
			if i == j {
				row(iij, i)[i], row(iijj, i)[i] = c.b[0][i], c.d[0][i]-3*c.q[0][i]*c.q[0][i]
			} else {
				row(iijj, i)[j] -= 2 * g * g
			}
		}
	}
	if e.x.l.Rows > 0 {
		e.addTransported(iij, iijj)
	}
	return iij, iijj, nil
}

// addTransported adds the terms of higher that have cumulants of x.
func (e *expansion) addTransported(iij, iijj blas64.General) {
	a, q, b, d := &e.c.a, &e.c.q, &e.c.b, &e.c.d
	for i, shift := range e.shift {
		for j := range e.shift {
			l, k, f := row(e.x.l, i)[j], row(e.x.l, j)[i], row(e.x.f, i)[j]
			used := 0.
			if e.fourth {
				used = f
			}
			if i == j {
				row(iij, i)[i] += l*b[3][i]/6 + used*b[4][i]/24 - 3*shift*q[0][i]
				row(iijj, i)[i] += l*(d[3][i]/6-q[0][i]*q[3][i]) + f*(d[4][i]/24-q[0][i]*q[4][i]/4) - 4*shift*b[0][i]
				continue
			}
			row(iij, i)[j] += (l*q[2][i]*a[1][j]+k*q[1][i]*a[2][j])/2 + used*q[2][i]*a[2][j]/4
			row(iijj, i)[j] += (l*q[2][i]*q[1][j]+k*q[1][i]*q[2][j])/2 + f*q[2][i]*q[2][j]/4
		}
	}
}

// third returns the third cumulants of the outputs, in the memory of those of
// the inputs, in. Those of pairs are in iij; for three units
//
//	kappa_ijk = a_2i a_1j a_1k r_ij r_ik + a_1i a_2j a_1k r_ij r_jk + a_1i a_1j a_2k r_ik r_jk
//	            + E g_i' E g_j' E g_k' kappa_ijk(x),
//
// the terms of first order in the correlations, which are those of a tree (Wu
// et al. 2026), and in the cumulants of three units.
func (e *expansion) third(ctx context.Context, threads int, in packed, iij blas64.General) (packed, error) {
	n := len(e.shift)
	if in.n == 0 {
		in = packed{n: n, data: make([]float64, n*pairs(n))}
	}
	a1, a2, gain := e.c.a[1], e.c.a[2], e.gain
	err := kernel.Parallel(ctx, threads, n, func(i int) error {
		slab, ri := in.slab(i), row(e.x.r, i)
		for j := range i {
			t, rj := slab[pairs(j):][:j+1], row(e.x.r, j)
			u, v, w := a2[i]*ri[j]*a1[j], a1[i]*ri[j]*a2[j], a1[i]*a1[j]
			g := gain[i] * gain[j]
			for k := range j {
				t[k] = g*gain[k]*t[k] + a1[k]*(u*ri[k]+v*rj[k]) + a2[k]*w*ri[k]*rj[k]
			}
			t[j] = row(iij, j)[i]
		}
		copy(slab[pairs(i):], row(iij, i)[:i+1])
		return nil
	})
	if err != nil {
		return in, err
	}
	return in, in.symmetrize(ctx)
}
