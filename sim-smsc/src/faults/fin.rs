/// Every connection is closed without an unbind. While it lasts, new ones are closed as they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fin;
