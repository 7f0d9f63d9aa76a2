"""Days, weeks and months of a time zone, and the ranges that are named after them. Pure: it knows neither a store nor a page."""
