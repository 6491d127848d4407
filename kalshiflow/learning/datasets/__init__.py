"""What trainings are made from: parted, measured, found sound."""
