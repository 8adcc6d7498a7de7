// Package drivers stands for a package simnet does not know.
package drivers

// Name is a name.
const Name = "drivers"
