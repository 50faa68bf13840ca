//! Framing: a stream of octets into whole PDUs, in place, and the cursor over one PDU's body.

mod deframe;
mod frame;
mod header;
pub(crate) mod reader;
pub(crate) mod writer;

pub use deframe::{Deframer, FrameError};
pub use frame::Frame;
pub use header::Header;
pub use writer::write_header_only;
