"""Parses the formats of Lambda, X-Ray and OpenTelemetry into model values."""
