//! Load scenarios, baselines and reports
