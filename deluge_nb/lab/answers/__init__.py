"""Read what a learner wrote, and compare it with the truth."""
