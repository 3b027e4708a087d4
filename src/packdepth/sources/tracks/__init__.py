"""Readers of speeds that a logger, a GPS receiver or an action camera recorded, one file for each format."""
