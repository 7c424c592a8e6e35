package cpu

import "testing"

func TestForce(t *testing.T) {
	was := Current()
	for i := Generic; i <= Best(); i++ {
		restore := Force(i)
		if Current() != i {
			t.Errorf("forced %v, got %v", i, Current())
		}
		restore()
		if Current() != was {
			t.Errorf("restored %v, got %v", was, Current())
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv(Variable, "generic")
	if c, err := fromEnvironment(); err != nil || ISA(c.Load()) != Generic {
		t.Errorf("generic gave %v, %v", ISA(c.Load()), err)
	}
	t.Setenv(Variable, "sse9")
	if c, err := fromEnvironment(); err == nil || ISA(c.Load()) != Best() {
		t.Errorf("an unknown set gave %v, %v", ISA(c.Load()), err)
	}
}
