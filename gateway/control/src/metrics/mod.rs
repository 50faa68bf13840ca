//! Metrics: plain counters are kept where things happen, published as immutable copies, and put together here at
//! each scrape. Names stand in [`names`] alone.

mod collect;
mod export;
pub mod names;

pub use collect::{Sources, Totals};
pub(crate) use export::CONTENT_TYPE;
pub use export::text;
pub use names::metrics_document;
