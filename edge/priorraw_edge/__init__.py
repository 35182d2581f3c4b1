"""PriorRAW Edge, everything after training: export, verify, and the run time on tiles."""
