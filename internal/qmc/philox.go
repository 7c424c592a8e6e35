package qmc

import "math/bits"

// philox is the counter-based generator Philox4x64-10 of Salmon, Moraes, Dror
// & Shaw (2011), keyed by (seed, replicate): block returns four random words
// for each value of a 256-bit counter, in any order. Different keys give
// independent streams. Here the counter is (block, dimension, purpose, 0).
type philox [2]uint64

// What random words are for, so that no word is used twice.
const (
	forPoints = iota
	forSobol
	forHalton
)

func (key philox) block(counter [4]uint64) [4]uint64 {
	c0, c1, c2, c3 := counter[0], counter[1], counter[2], counter[3]
	k0, k1 := key[0], key[1]
	for range 10 {
		h0, l0 := bits.Mul64(0xD2E7470EE14C6C93, c0)
		h1, l1 := bits.Mul64(0xCA5A826395121157, c2)
		c0, c1, c2, c3 = h1^c1^k0, l1, h0^c3^k1, l0
		k0 += 0x9E3779B97F4A7C15 // golden ratio
		k1 += 0xBB67AE8584CAA73B // sqrt(3)-1
	}
	return [4]uint64{c0, c1, c2, c3}
}

// uniformTo writes coordinate k of the random points from first on: word i%4 of
// block i/4.
func (key philox) uniformTo(dst []float64, k, first uint64) {
	word := int(first % 4)
	for block := first / 4; len(dst) > 0; block++ {
		words := key.block([4]uint64{block, k, forPoints, 0})
		n := min(4-word, len(dst))
		for j := range n {
			dst[j] = unit(words[word+j])
		}
		dst, word = dst[n:], 0
	}
}

// A stream reads the words of a counter's blocks one after the other.
type stream struct {
	key     philox
	counter [4]uint64 // of the next block
	words   [4]uint64
	left    int
}

func (s *stream) next() uint64 {
	if s.left == 0 {
		s.words, s.left = s.key.block(s.counter), 4
		s.counter[0]++
	}
	s.left--
	return s.words[3-s.left]
}

// below returns a uniform integer in [0, n): the high word of a product, with
// the few values rejected that would favour some (Lemire 2019).
func (s *stream) below(n uint64) uint64 {
	for {
		hi, lo := bits.Mul64(s.next(), n)
		if lo >= -n%n {
			return hi
		}
	}
}
