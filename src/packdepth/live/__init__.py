"""Live video: cameras and streams of which the newest frame counts, and the page that shows it. It knows no network."""
