"""Rivals of bit-depth recovery, classical and learned, on the same pictures and under the same protocol."""
