"""Lowering for devices: `targets` says what there is and refuses early, `bundle` writes the folder."""
