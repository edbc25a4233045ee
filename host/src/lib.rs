//! The desktop side of fixgrad.
