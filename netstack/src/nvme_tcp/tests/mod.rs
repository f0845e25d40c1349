//! Two sides against each other, and against nonsense.
