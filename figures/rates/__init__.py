"""Exchange rates: tables of them by day, where they come from, and the exact conversion of sums. They know no page and no view."""
