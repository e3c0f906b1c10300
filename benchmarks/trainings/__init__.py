"""Small real trainings in numpy, with and without faults, written as TensorBoard logs and labelled by what their logs show."""
