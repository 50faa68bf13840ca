//! A faulty double of the target, by which the judge is judged.

mod alter;
pub(crate) mod fault;
mod legs;
mod message;
mod proxy;
pub(crate) mod scenario;
mod strike;
pub(crate) mod table;
