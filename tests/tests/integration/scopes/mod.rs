//! The series and levels that attributes record for a call, for each way in which it can end.

mod asynchronous;
mod outcomes;
mod running;
mod seen;
mod slow;
