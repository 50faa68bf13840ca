/// Every connection is reset, with whatever was unread in it. While it lasts, new ones are reset as they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rst;
