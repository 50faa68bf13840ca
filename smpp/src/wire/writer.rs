//! Appending PDUs to a buffer. Lengths are patched at the end; only the buffer grows.

use bytes::{BufMut, BytesMut};

use crate::field::{Address, CommandId, CommandStatus};
use crate::limits::HEADER_LENGTH;
use crate::wire::Header;
use crate::wire::reader::nul_within;

/// Appends a header and what `body` writes, then patches `command_length`.
#[inline]
pub(crate) fn pdu(
    command_id: CommandId,
    command_status: CommandStatus,
    sequence_number: u32,
    out: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut),
) {
    let start = out.len();
    let header = Header { command_length: HEADER_LENGTH as u32, command_id, command_status, sequence_number };
    out.put_slice(&header.to_bytes());
    body(out);
    patch_length(out, start);
}

/// Appends a PDU that is a header only, such as generic_nack or a refusal without a body.
#[inline]
pub fn write_header_only(
    out: &mut BytesMut,
    command_id: CommandId,
    status: CommandStatus,
    sequence_number: u32,
) {
    pdu(command_id, status, sequence_number, out, |_| {});
}

/// Writes `command_length` of the PDU that starts at `start` and ends where the buffer does.
#[inline]
fn patch_length(out: &mut BytesMut, start: usize) {
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a C-octet string. Text with a NUL inside would shift every field behind it, so it ends there.
#[inline]
pub(crate) fn c_string(out: &mut BytesMut, text: &[u8]) {
    if !text.is_empty() {
        let length = nul_within(text, text.len()).unwrap_or(text.len());
        out.put_slice(&text[..length]);
    }
    out.put_u8(0);
}

/// Appends type, plan and address.
#[inline]
pub(crate) fn address(out: &mut BytesMut, address: &Address<'_>) {
    out.put_slice(&[address.ton.0, address.npi.0]);
    c_string(out, address.digits);
}
