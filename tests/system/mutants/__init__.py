"""The flow with one thing wrong in it: each mutant breaks one promise, and the oracle must say which."""
