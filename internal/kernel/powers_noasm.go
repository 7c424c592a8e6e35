package kernel

func powersVector(dst, rho, x, h []float64, stride int) bool  { return false }
func powers3Vector(dst, rho, x, h []float64, stride int) bool { return false }
