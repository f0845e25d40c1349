//! NVMe-oF host: a pure queue and its polled, blocking and async faces
