"""Training: one loop, and the stages that use it."""
