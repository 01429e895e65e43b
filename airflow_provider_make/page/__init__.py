"""A page in Airflow's navigation: what pulls and watchers found, for each organization."""
