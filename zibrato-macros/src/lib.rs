//! The attributes and macros of zibrato.
