"""What needs attention: campaigns whose figures changed by more than chance explains."""
