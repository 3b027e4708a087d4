"""The demo: a rendered city, a network that is trained on its video, and a report of the results."""
