"""What happened, and what was expected: DataFrames in, DataFrames and Figures out."""
