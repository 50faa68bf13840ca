//! How a peer deviates from the standard: plain data, strict by default.
//!
//! Every field is read in exactly one place, named beside it, and has a vector in strict and in lenient form
//! under `tests/vectors/`.

/// What is tolerated from one peer. All `false` is the standard to the letter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dialect {
    /// A positive response that must carry a body (submit_sm_resp, data_sm_resp, deliver_sm_resp, bind_*_resp,
    /// query_sm_resp, submit_multi_resp) may come without one; its fields then read as empty. A negative
    /// response may always come without (SMPP 3.4 §4.4.2). Read in `wire/reader.rs`.
    pub response_body_missing: bool,
    /// submit_sm_resp and deliver_sm_resp may carry TLVs, as in SMPP 5.0. Read in `wire/reader.rs`.
    pub response_tlvs: bool,
    /// deliver_sm_resp may carry a `message_id`, which SMPP 3.4 §4.6.2 wants empty. Read in `pdu/deliver_sm.rs`.
    pub deliver_resp_message_id: bool,
    /// A C-octet string that ends with the body instead of a NUL is taken. Read in `wire/reader.rs`.
    pub c_string_unterminated: bool,
    /// A C-octet string longer than its field is taken, bounded by the PDU. Read in `wire/reader.rs`.
    pub c_string_overlong: bool,
    /// NULs after `short_message` that `sm_length` does not count are skipped: one before TLVs, any number at the end.
    /// Read in `pdu/short_message.rs`.
    pub short_message_extra_nul: bool,
    /// One NUL at the end of `short_message` that `sm_length` counts is cut off. Harms text in the GSM alphabet
    /// that ends with '@' and UCS-2 that ends with such an octet, so it is not part of [`Dialect::tolerant`].
    /// Read in `pdu/short_message.rs`.
    pub short_message_counted_nul: bool,
    /// `sm_length` may be wrong (255, beyond the PDU, or such that what follows does not begin with a TLV): the frame
    /// is trusted instead and the message is all that is left. What begins with a tag of the standard or of vendors
    /// (0x1400 to 0x3FFF) is a TLV, cut or not. Read in `pdu/short_message.rs`.
    pub sm_length_wrong: bool,
    /// `short_message` and `message_payload` may both be present; the payload is the message.
    /// Read in `pdu/short_message.rs`.
    pub short_message_and_payload: bool,
    /// A TLV stream may end in the middle of a TLV: what stands before the cut counts. Read in `tlv/iter.rs`.
    pub tlv_cut: bool,
    /// A known TLV may have another length or ending than its table row says. Read in `tlv/iter.rs`.
    pub tlv_shape_wrong: bool,
    /// Octets after the last field of a PDU that has no TLVs are ignored, such as an enquire_link_resp with a
    /// body. Read in `wire/reader.rs`.
    pub trailing_octets: bool,
}

impl Dialect {
    /// The standard to the letter.
    pub const fn strict() -> Self {
        Self {
            response_body_missing: false,
            response_tlvs: false,
            deliver_resp_message_id: false,
            c_string_unterminated: false,
            c_string_overlong: false,
            short_message_extra_nul: false,
            short_message_counted_nul: false,
            sm_length_wrong: false,
            short_message_and_payload: false,
            tlv_cut: false,
            tlv_shape_wrong: false,
            trailing_octets: false,
        }
    }

    /// Every tolerance that cannot harm a message of a peer that keeps to the standard.
    pub const fn tolerant() -> Self {
        Self {
            response_body_missing: true,
            response_tlvs: true,
            deliver_resp_message_id: true,
            c_string_unterminated: true,
            c_string_overlong: true,
            short_message_extra_nul: true,
            short_message_counted_nul: false,
            sm_length_wrong: true,
            short_message_and_payload: true,
            tlv_cut: true,
            tlv_shape_wrong: true,
            trailing_octets: true,
        }
    }
}

/// Each field by its name, so that configuration files and test vectors need no second list.
macro_rules! by_name {
    ($($field:ident),+ $(,)?) => {
        impl Dialect {
            /// The names of all fields, as configuration writes them.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field)),+];

            /// The field called `name`, to be read or set.
            pub fn field_mut(&mut self, name: &str) -> Option<&mut bool> {
                // Without a rest pattern: a field that is not listed here does not compile.
                let Dialect { $($field),+ } = self;
                match name {
                    $(stringify!($field) => Some($field),)+
                    _ => None,
                }
            }
        }
    };
}

by_name! {
    response_body_missing, response_tlvs, deliver_resp_message_id, c_string_unterminated, c_string_overlong,
    short_message_extra_nul, short_message_counted_nul, sm_length_wrong, short_message_and_payload, tlv_cut,
    tlv_shape_wrong, trailing_octets,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_strict() {
        assert_eq!(Dialect::default(), Dialect::strict());
    }

    #[test]
    fn every_name_reaches_its_own_field() {
        for name in Dialect::NAMES {
            let mut dialect = Dialect::strict();
            *dialect.field_mut(name).unwrap() = true;
            let set = Dialect::NAMES.iter().filter(|other| *dialect.clone().field_mut(other).unwrap());
            assert_eq!(set.copied().collect::<std::vec::Vec<_>>(), [*name]);
        }
        assert_eq!(Dialect::strict().field_mut("none"), None);
    }
}
