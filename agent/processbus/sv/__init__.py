"""Sampled values (IEC 61850-9-2 Ed. 2.1, 9-2LE, IEC 61869-9): frames to samples and back."""
