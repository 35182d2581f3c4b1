"""The shipped priors: a shared encoder and reconstructor, and a bank per camera. Data only."""
