"""Extensions, one module or folder each: those that were chosen, and your own."""
