"""The ways to log in: a browser on this machine, a browser elsewhere and a pasted address, a device code."""
