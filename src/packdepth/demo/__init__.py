"""The demo: a rendered city, a network trained on its video, and a report that shows what it learned."""
