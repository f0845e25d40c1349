//! Octets to values and back: RoCEv2, InfiniBand CM, NVMe, NVMe-oF Fabrics
