-- Nothing was ever written here: what is compared over weeks is in the baselines.
DROP TABLE dbintel_observations;
