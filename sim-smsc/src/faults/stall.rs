/// Submits are processed, but the answers are held until it ends. Everything else goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StallResponses;
