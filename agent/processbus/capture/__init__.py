"""Where frames come from: an interface's ring, a capture file, a virtual bus."""
