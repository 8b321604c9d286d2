"""What a person must be told of before it goes wrong: rules, what fires and clears, and who was told."""
