"""Tests of `seg.filter`."""
