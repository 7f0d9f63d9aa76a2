"""``adtally doctor``: looks at a deployment and says what is wrong with it, one line each, with the cure."""
