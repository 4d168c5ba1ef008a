"""The IED: the live IEC 61850 model, its engines, its front and its worker process."""
