"""Classification of failures, their exceptions, and retries."""
