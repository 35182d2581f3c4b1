"""What a megapixel costs: our model in each run time, the exact method, rivals, and the machine's own limit."""
