"""The commands; thin: arguments in, text or JSON out."""
