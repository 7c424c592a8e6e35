package kernel

// PowersTo computes for every column j
//
//	dst[j] = sum_{k=1}^K rho[j]^(k-1) x[k-1] h[(k-1) stride + j],   K = len(x),
//
// the series of a covariance, but for a factor rho, for one unit with the
// coefficients x and many others with those in the columns of h. The length of dst
// and rho is a multiple of 8. dst overlaps nothing.
func PowersTo(dst, rho, x, h []float64, stride int) {
	n := len(dst)
	if len(rho) != n || n%lanes != 0 || len(x) > 0 && len(h) < (len(x)-1)*stride+n {
		panic(badShape)
	}
	if len(x) == 0 || n == 0 {
		clear(dst)
		return
	}
	if powersVector(dst, rho, x, h, stride) {
		return
	}
	for j := 0; j < n; j += lanes {
		r, p, s := (*[lanes]float64)(rho[j:]), [lanes]float64{}, [lanes]float64{}
		for l := range p {
			p[l] = 1
		}
		for k, c := range x {
			row := (*[lanes]float64)(h[k*stride+j:])
			for l := range s {
				s[l] += p[l] * row[l] * c
				p[l] *= r[l]
			}
		}
		copy(dst[j:], s[:])
	}
}

// Powers3To is PowersTo for three units with the same rho at once: sums m = 0, 1, 2
// at dst[m n + j], with the coefficients x[3 (k-1) + m].
func Powers3To(dst, rho, x, h []float64, stride int) {
	n, order := len(rho), len(x)/3
	if len(dst) != 3*n || n%lanes != 0 || len(x) != 3*order || order > 0 && len(h) < (order-1)*stride+n {
		panic(badShape)
	}
	if order == 0 || n == 0 {
		clear(dst)
		return
	}
	if powers3Vector(dst, rho, x, h, stride) {
		return
	}
	for j := 0; j < n; j += lanes {
		r, p, s := (*[lanes]float64)(rho[j:]), [lanes]float64{}, [3][lanes]float64{}
		for l := range p {
			p[l] = 1
		}
		for k := range order {
			c := (*[3]float64)(x[3*k:])
			row := (*[lanes]float64)(h[k*stride+j:])
			for l := range p {
				t := p[l] * row[l]
				s[0][l] += t * c[0]
				s[1][l] += t * c[1]
				s[2][l] += t * c[2]
				p[l] *= r[l]
			}
		}
		for m := range s {
			copy(dst[m*n+j:], s[m][:])
		}
	}
}
