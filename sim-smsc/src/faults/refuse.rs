/// The port is closed: new connections are refused. Sessions that stand go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refuse;
