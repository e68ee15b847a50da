"""Tests on Spark, Ray and Daft, which `make test-engines` runs in an environment of their own."""
