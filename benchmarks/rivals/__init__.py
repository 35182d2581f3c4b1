"""Rival methods from the literature under one protocol: same pictures, same budget, same metric.

python -m benchmarks.rivals --dataset data/olympus-e-pl6 --rows all --budget-minutes 4

Every row is written anew from its paper. A rival may see a picture's own RAW only in `record`, on the camera's
side of the wall, and what it keeps of it crosses as bytes.
"""
