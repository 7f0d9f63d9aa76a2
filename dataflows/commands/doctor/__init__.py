"""``adtally doctor``: checks a deployment and reports each problem in one line, with the cure."""
