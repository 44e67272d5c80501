"""Find out where a workspace's model requests go, and send them there."""
