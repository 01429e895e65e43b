"""Bring Make (make.com) scenario analytics into Airflow data pipelines."""

__version__ = "0.1.0"
