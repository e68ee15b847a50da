"""How far confidences can be trusted: reports, intervals, fits."""
