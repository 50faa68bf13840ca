//! The SMPP 3.4 protocol, pure: bytes and inputs go in, views and bytes come out.
//!
//! ```text
//!   stream --- wire::Deframer ---> Frame (one whole PDU, in place)
//!                                    |  pdu::Pdu::decode(frame, &Dialect)
//!                                    v
//!                                  Pdu<'_> (borrowed view; TLVs stay raw in tlv::Tlvs)
//!                                    |  encode(status, sequence_number, &mut BytesMut)
//!                                    v
//!                                  octets, appended to the caller's buffer
//! ```
//!
//! What holds here:
//!
//! * No socket, clock, thread, random source or file; time is an argument ([`time::Instant`]).
//! * No input panics and no length that has not been checked against a limit is allocated from.
//! * Decoding borrows, it never allocates; encoding only grows the caller's buffer.
//! * What may leave is judged and written by [`strict`]; tolerance is for reading only.
//! * What a peer may do beside the standard is a field of [`Dialect`], strict unless asked for.
//! * Numbers of the wire accept the unknown: a vendor's `command_status` or TLV tag travels as it is.
//!
//! `strict` is the one check of what goes on to another peer, `version` says it in SMPP 3.3, `response` is the one table
//! of answers; `field` holds the
//! typed octets, `wire` the framing, `pdu` one file per command, `tlv` the optional
//! parameters, `text` alphabets and receipts, `session` the state machine over all of it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod dialect;
pub mod error;
pub mod field;
pub mod limits;
pub mod pdu;
pub mod response;
pub mod session;
pub mod strict;
pub mod text;
pub mod time;
pub mod tlv;
pub mod version;
pub mod wire;

pub use dialect::Dialect;
pub use error::{DecodeError, Field, Problem, Violation};
pub use field::{
    Address, CommandId, CommandStatus, DataCoding, EsmClass, MessageState, Npi, RegisteredDelivery,
    StatusClass, Ton,
};
pub use pdu::*;
pub use strict::Verdict;
pub use time::Instant;
pub use tlv::{Tag, Tlv, Tlvs, write_tlv};
pub use version::Version;
pub use wire::{Deframer, Frame, FrameError, Header};
