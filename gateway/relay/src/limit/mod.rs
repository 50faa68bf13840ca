//! How much may go through.

mod bucket;
mod scope;

pub use scope::Scope;

pub(crate) use bucket::Bucket;
