"""Other libraries on this client, and other clients on the simulator: `make integrations`."""
