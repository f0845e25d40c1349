//! NVMe-oF target: a pure controller and its reactor
