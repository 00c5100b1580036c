"""Other projects' detectors, fitted and judged on the same outputs as ours."""
