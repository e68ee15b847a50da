"""Calibration of confidences: reports, intervals, fits."""
