"""The commands of `scratchlm`, by what they are about; what is heavy is imported when one is called."""
