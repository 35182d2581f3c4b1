"""One command from the shipped assets to pictures to look at: `run` does the work, `report` writes the page."""
