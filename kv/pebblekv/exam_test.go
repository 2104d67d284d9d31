package pebblekv_test

import (
	"testing"

	"lambent/kv/driver"
	"lambent/kv/kvtest"
	"lambent/kv/pebblekv"
)

func TestMemory(t *testing.T) {
	kvtest.Run(t, func(t testing.TB) driver.Engine {
		engine, err := pebblekv.OpenMem()
		if err != nil {
			t.Fatal(err)
		}
		return engine
	})
}

func TestDisk(t *testing.T) {
	kvtest.Run(t, func(t testing.TB) driver.Engine {
		engine, err := pebblekv.Open(t.TempDir(), pebblekv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return engine
	})
}
