//! The FlexiNS stack: the RC transport as a pure machine, congestion control, CM, links
