"""What a model must beat: bigram counts, TF-IDF with logistic regression, the untuned model asked in words."""
