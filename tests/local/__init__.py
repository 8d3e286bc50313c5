"""Tests of `seg.local`."""
