"""Proof that a bundle computes what PyTorch computes, stage by stage on photographs."""
