//! The relay's seeded bugs, where they are built in.

#[cfg(feature = "mutations")]
pub use relay::Mutation;

/// None is built in.
#[cfg(not(feature = "mutations"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {}

/// The mutation of this name, where it is built in.
pub fn mutation_of_name(name: &str) -> Option<Mutation> {
    all().iter().copied().find(|mutation| format!("{mutation:?}").eq_ignore_ascii_case(name))
}

/// All that are built in.
#[cfg(feature = "mutations")]
pub fn all() -> &'static [Mutation] {
    &Mutation::ALL
}

/// All that are built in: none.
#[cfg(not(feature = "mutations"))]
pub fn all() -> &'static [Mutation] {
    &[]
}
