"""What upstream's HTTP lacks: a fast event stream, and answers collected from one."""
