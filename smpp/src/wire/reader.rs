//! A bounded cursor over one PDU's body. Every read names its field, so that an error says where it is.

use crate::dialect::Dialect;
use crate::error::{DecodeError, Field, Problem};
use crate::field::{Address, Npi, Ton};
use crate::limits::HEADER_LENGTH;
use crate::tlv::Tlvs;
use crate::wire::Frame;

/// The rest of a body. Reading moves it forward; it never reads beyond the frame.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a, 'd> {
    rest: &'a [u8],
    /// Octets of the whole PDU; what is not in `rest` was read.
    pdu_length: usize,
    dialect: &'d Dialect,
}

impl<'a, 'd> Reader<'a, 'd> {
    #[inline]
    pub(crate) fn new(frame: Frame<'a>, dialect: &'d Dialect) -> Self {
        Self { rest: frame.body(), pdu_length: frame.bytes().len(), dialect }
    }

    /// A cursor over loose octets, for the parts of submit_multi that are read again later.
    #[inline]
    pub(crate) fn of_octets(octets: &'a [u8], dialect: &'d Dialect) -> Self {
        Self { rest: octets, pdu_length: HEADER_LENGTH + octets.len(), dialect }
    }

    #[inline]
    pub(crate) fn dialect(&self) -> &'d Dialect {
        self.dialect
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Octets from the start of the PDU to the cursor.
    #[inline]
    pub(crate) fn offset(&self) -> u32 {
        (self.pdu_length - self.rest.len()) as u32
    }

    #[cold]
    pub(crate) fn error(&self, problem: Problem, field: Field) -> DecodeError {
        DecodeError { problem, field, offset: self.offset() }
    }

    /// Single octets that follow one another; the error names the first that is missing.
    #[inline]
    pub(crate) fn octets<const N: usize>(&mut self, fields: [Field; N]) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((octets, rest)) => {
                self.rest = rest;
                Ok(*octets)
            }
            None => Err(self.octets_missing(&fields)),
        }
    }

    /// A 32-bit number.
    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, DecodeError> {
        match self.rest.split_first_chunk::<4>() {
            Some((octets, rest)) => {
                self.rest = rest;
                Ok(u32::from_be_bytes(*octets))
            }
            None => Err(self.error(Problem::Truncated, field)),
        }
    }

    /// A C-octet string of at most `size_max` octets, its NUL included; given without the NUL.
    #[inline]
    pub(crate) fn c_string(&mut self, field: Field, size_max: usize) -> Result<&'a [u8], DecodeError> {
        if let [0, rest @ ..] = self.rest {
            // Most strings of a message are empty.
            self.rest = rest;
            return Ok(&[]);
        }
        if let Some(at) = nul_within(self.rest, size_max)
            && let Some((text, rest)) = self.rest.split_at_checked(at)
        {
            self.rest = rest.get(1..).unwrap_or_default();
            return Ok(text);
        }
        self.c_string_odd(field, size_max)
    }

    /// Type, plan and address. Inlined so that the names of the fields are constants.
    #[inline(always)]
    pub(crate) fn address(
        &mut self,
        fields: [Field; 3],
        size_max: usize,
    ) -> Result<Address<'a>, DecodeError> {
        let [ton, npi] = self.octets([fields[0], fields[1]])?;
        let digits = self.c_string(fields[2], size_max)?;
        Ok(Address { ton: Ton(ton), npi: Npi(npi), digits })
    }

    /// `length` octets, given that there are as many.
    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// The rest as TLVs.
    #[inline]
    pub(crate) fn tlvs(self) -> Result<Tlvs<'a>, DecodeError> {
        if self.rest.is_empty() { Ok(Tlvs::default()) } else { Tlvs::read(&self) }
    }

    /// The rest as TLVs of a response that has none in SMPP 3.4.
    #[inline]
    pub(crate) fn response_tlvs(self) -> Result<Tlvs<'a>, DecodeError> {
        if self.rest.is_empty() {
            Ok(Tlvs::default())
        } else if self.dialect.response_tlvs {
            Tlvs::read(&self)
        } else {
            Err(self.error(Problem::TlvNotAllowed, Field::Tlvs))
        }
    }

    /// The end of a PDU without TLVs.
    #[inline]
    pub(crate) fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() || self.dialect.trailing_octets {
            Ok(())
        } else {
            Err(self.error(Problem::Trailing, Field::Body))
        }
    }

    /// Whether a response has no body and need not have one.
    #[inline]
    pub(crate) fn response_is_bare(&self, frame: Frame<'_>) -> bool {
        self.rest.is_empty() && (!frame.command_status().is_ok() || self.dialect.response_body_missing)
    }

    #[cold]
    fn octets_missing(&self, fields: &[Field]) -> DecodeError {
        let field = fields.get(self.rest.len()).copied().unwrap_or(Field::Body);
        DecodeError { problem: Problem::Truncated, field, offset: self.pdu_length as u32 }
    }

    /// A C-octet string without a NUL where the standard wants it.
    #[cold]
    fn c_string_odd(&mut self, field: Field, size_max: usize) -> Result<&'a [u8], DecodeError> {
        let nul = nul_within(self.rest, self.rest.len());
        let length = nul.unwrap_or(self.rest.len());
        if self.rest.is_empty() {
            return Err(self.error(Problem::Truncated, field));
        }
        if length >= size_max && !self.dialect.c_string_overlong {
            return Err(self.error(Problem::Overlong, field));
        }
        if nul.is_none() && !self.dialect.c_string_unterminated {
            return Err(self.error(Problem::Unterminated, field));
        }
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(text)
    }
}

/// Where the first NUL of the first `size_max` octets stands. Eight octets are looked at at once: the strings
/// of SMPP are short, and this is most of what decoding costs.
#[inline]
pub(crate) fn nul_within(octets: &[u8], size_max: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let mut rest = octets;
    while at < size_max {
        let Some((chunk, after)) = rest.split_first_chunk::<8>() else {
            return rest
                .iter()
                .position(|octet| *octet == 0)
                .map(|more| at + more)
                .filter(|at| *at < size_max);
        };
        let word = u64::from_le_bytes(*chunk);
        // The lowest high bit set marks the first zero octet; higher marks may be carries.
        let zeros = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize).filter(|at| *at < size_max);
        }
        at += 8;
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn finds_the_first_nul_within_its_bound() {
        for length in 0..40 {
            for nul in 0..=length {
                let octets: Vec<u8> = (0..length).map(|at| if at < nul { 1 } else { 0 }).collect();
                for size_max in 0..45 {
                    let expected = octets.iter().take(size_max).position(|octet| *octet == 0);
                    assert_eq!(nul_within(&octets, size_max), expected, "{length} {nul} {size_max}");
                }
            }
        }
    }
}
