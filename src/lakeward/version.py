"""The version of this package, as one constant that everything may import."""

VERSION = "0.1.0"
