"""Fuzzing of everything that reads what somebody else wrote: `make fuzz`, and a short run of it in the suite."""
