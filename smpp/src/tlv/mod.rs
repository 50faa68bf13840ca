//! Optional parameters (SMPP 3.4 §3.2.4.1, §5.3): tag, length, value. They stay raw octets and are looked at
//! when asked for, so unknown ones pass byte for byte.

mod iter;
mod table;
mod value;

pub use iter::{Tlv, TlvIter, Tlvs, write_tlv};
pub use table::Tag;
pub use value::{Mended, Shape};
