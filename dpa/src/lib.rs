//! Datapath accelerator: in-cache receive, notification pipe, handler programs, the NIC
