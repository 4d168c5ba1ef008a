"""Simulated equipment that speaks the real protocols."""
