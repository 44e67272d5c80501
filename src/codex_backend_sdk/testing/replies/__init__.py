"""What the simulator replies when no script says otherwise, and the events that carry it."""
