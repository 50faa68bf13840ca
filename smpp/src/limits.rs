//! Every bound the standard sets, by the field it binds. Sizes of C-octet strings include the NUL.

/// Octets of a PDU header (SMPP 3.4 §3.2).
pub const HEADER_LENGTH: usize = 16;
/// Default of the largest PDU taken from a peer, octets: a `message_payload` of 65,535 octets, the longest that its
/// length can say, with 4 KiB for all other fields. The standard names no limit, so it is a setting wherever a
/// `Deframer` is made.
pub const PDU_SIZE_MAX_DEFAULT: u32 = 69_632;
/// Highest sequence number the standard allows (SMPP 3.4 §3.2): 1 to this.
pub const SEQUENCE_NUMBER_MAX: u32 = 0x7FFF_FFFF;

/// `interface_version` and `sc_interface_version` of SMPP 3.4 (SMPP 3.4 §5.2.4, §5.3.2.25).
pub const INTERFACE_VERSION: u8 = 0x34;

/// `system_id` (SMPP 3.4 §5.2.1).
pub const SYSTEM_ID_SIZE_MAX: usize = 16;
/// `password` (SMPP 3.4 §5.2.2).
pub const PASSWORD_SIZE_MAX: usize = 9;
/// `system_type` (SMPP 3.4 §5.2.3).
pub const SYSTEM_TYPE_SIZE_MAX: usize = 13;
/// `address_range` (SMPP 3.4 §5.2.7).
pub const ADDRESS_RANGE_SIZE_MAX: usize = 41;
/// `service_type` (SMPP 3.4 §5.2.11).
pub const SERVICE_TYPE_SIZE_MAX: usize = 6;
/// `source_addr` and `destination_addr` (SMPP 3.4 §5.2.8, §5.2.9).
pub const ADDRESS_SIZE_MAX: usize = 21;
/// Addresses of data_sm and alert_notification (SMPP 3.4 §4.7.1, §4.12.1).
pub const ADDRESS_LONG_SIZE_MAX: usize = 65;
/// `message_id` (SMPP 3.4 §5.2.23).
pub const MESSAGE_ID_SIZE_MAX: usize = 65;
/// `schedule_delivery_time`, `validity_period`, `final_date` (SMPP 3.4 §7.1.1).
pub const TIME_SIZE_MAX: usize = 17;
/// `dl_name` of submit_multi (SMPP 3.4 §5.2.29).
pub const DL_NAME_SIZE_MAX: usize = 21;
/// `short_message` (SMPP 3.4 §5.2.22); longer text travels in `message_payload`.
pub const SHORT_MESSAGE_LENGTH_MAX: usize = 254;
/// Destinations of one submit_multi (SMPP 3.4 §5.2.24).
pub const NUMBER_OF_DESTS_MAX: usize = 254;
/// Octets before the value of a TLV: tag and length (SMPP 3.4 §3.2.4.1).
pub const TLV_HEADER_LENGTH: usize = 4;
/// Largest value of a TLV, what its 16-bit length can say.
pub const TLV_LENGTH_MAX: usize = 0xFFFF;

const _: () = assert!(PDU_SIZE_MAX_DEFAULT as usize > TLV_LENGTH_MAX + TLV_HEADER_LENGTH + 2_048);
const _: () = assert!(HEADER_LENGTH < PDU_SIZE_MAX_DEFAULT as usize);
const _: () = assert!(SHORT_MESSAGE_LENGTH_MAX < u8::MAX as usize);
const _: () = assert!(ADDRESS_SIZE_MAX <= ADDRESS_LONG_SIZE_MAX);
