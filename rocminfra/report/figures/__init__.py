"""What follows from a run's points: objectives, knee, price, verdict. Pure functions."""
