"""Login flows: a browser on this machine, a browser elsewhere with a pasted URL, a device code."""
