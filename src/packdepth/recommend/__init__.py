"""Run files that suit some data: `packdepth init`. The data are measured, values are chosen, each with its reason."""
