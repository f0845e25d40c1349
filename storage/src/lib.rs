//! Namespace backends and the layers around them
