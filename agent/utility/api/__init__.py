"""The HTTPS port of the utility process: bounded bodies, rates, and the server."""
