"""How the simulator serves, records and delivers HTTP."""
