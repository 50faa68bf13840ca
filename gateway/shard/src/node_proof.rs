//! How a node proves towards another that it is one, within the fields of a bind, which are as long as the standard allows
//! (SMPP 3.4 §4.1.1): the secret that all nodes share does not cross the wire.
//!
//! ```text
//!   system_id      ~node, which no customer may have
//!   address_range  vendor (8) slot (4) from (2) to (2) seconds since 1970 (8) nonce (16), hexadecimal
//!   password       the first 8 and
//!   system_type    the other 12 characters of an HMAC-SHA-256 of address_range, cut to 120 bits, in base 64
//! ```
//!
//! A proof is good for one node, one minute and one use. What follows on the session is neither encrypted nor
//! signed, like all of SMPP: node links belong on a network that is trusted, or into a tunnel.

use relay::VendorId;
use ring::hmac;
use smpp::pdu::Bind;
use std::collections::VecDeque;
use std::fmt;
use subtle::ConstantTimeEq;

/// system_id of nodes. Shorter than 16 octets, and no customer may have it.
pub const NODE_SYSTEM_ID: &str = "~node";
/// Seconds that the clocks of two nodes may differ by, the bind's way included.
const CLOCKS_APART_MAX: u64 = 60;
/// Proofs remembered at once, 16 octets each; one more is refused. Nodes bind some times a second at most.
const SEEN_MAX: usize = 4096;
/// Characters of the proof: 15 octets in base 64.
const PROOF_LENGTH: usize = 20;
/// Those of them in the password.
const PASSWORD_LENGTH: usize = 8;
/// Characters of address_range.
const CLAIM_LENGTH: usize = 40;

/// The secret that all nodes of one gateway share. Never shown.
#[derive(Clone)]
pub struct NodeSecret(hmac::Key);

impl NodeSecret {
    /// Of any length; 16 random octets are enough.
    pub fn new(secret: &[u8]) -> Self {
        NodeSecret(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

impl fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a node wants of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeClaim {
    /// For this vendor.
    pub(crate) vendor: VendorId,
    /// On the bind of this slot.
    pub(crate) slot: u32,
    /// Who asks.
    pub(crate) from: u8,
    /// Whom.
    pub(crate) to: u8,
    /// By the asker's clock.
    pub(crate) unix_seconds: u64,
    /// Another one for each bind.
    pub(crate) nonce: u64,
}

/// Why a claim is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doubt {
    /// Its fields are not those of a node's bind.
    Malformed,
    /// It was made without our secret.
    WrongProof,
    /// It is for another node.
    NotForUs,
    /// It is too old, or the clocks differ.
    Stale,
    /// It was used before, or too many were.
    Repeated,
}

impl Doubt {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Doubt::Malformed => "malformed",
            Doubt::WrongProof => "wrong_secret",
            Doubt::NotForUs => "for_another_node",
            Doubt::Stale => "clocks_differ",
            Doubt::Repeated => "repeated",
        }
    }
}

/// The texts of a bind's fields.
pub(crate) struct Proof {
    claim: String,
    proof: [u8; PROOF_LENGTH],
}

impl Proof {
    pub(crate) fn new(secret: &NodeSecret, claim: &NodeClaim) -> Proof {
        let NodeClaim { vendor, slot, from, to, unix_seconds, nonce } = claim;
        let slot = slot & 0xFFFF; // fewer than that by far, see the store's bound
        let seconds = unix_seconds & 0xFFFF_FFFF; // fits till 2106
        let claim = format!("{:08x}{slot:04x}{from:02x}{to:02x}{seconds:08x}{nonce:016x}", vendor.0);
        let proof = proof_of(secret, claim.as_bytes());
        Proof { claim, proof }
    }

    pub(crate) fn bind(&self) -> Bind<'_> {
        Bind {
            system_id: NODE_SYSTEM_ID.as_bytes(),
            password: &self.proof[..PASSWORD_LENGTH],
            system_type: &self.proof[PASSWORD_LENGTH..],
            interface_version: smpp::limits::INTERFACE_VERSION,
            address_range: self.claim.as_bytes(),
            ..Bind::default()
        }
    }
}

/// What a node's bind claims, whether or not it is true.
pub(crate) fn claim_in(bind: &Bind<'_>) -> Option<NodeClaim> {
    let text = std::str::from_utf8(bind.address_range).ok()?;
    if text.len() != CLAIM_LENGTH || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    let number = |from: usize, to: usize| u64::from_str_radix(&text[from..to], 16).ok();
    Some(NodeClaim {
        vendor: VendorId(number(0, 8)? as u32),
        slot: number(8, 12)? as u32,
        from: number(12, 14)? as u8,
        to: number(14, 16)? as u8,
        unix_seconds: number(16, 24)?,
        nonce: number(24, CLAIM_LENGTH)?,
    })
}

fn proof_of(secret: &NodeSecret, claim: &[u8]) -> [u8; PROOF_LENGTH] {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let tag = hmac::sign(&secret.0, claim);
    let mut proof = [0; PROOF_LENGTH];
    for (four, three) in proof.chunks_exact_mut(4).zip(tag.as_ref().chunks_exact(3)) {
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (place, character) in four.iter_mut().enumerate() {
            *character = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
        }
    }
    proof
}

/// Judges claims, and remembers them for as long as they could be used again.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    seen: VecDeque<(u64, u64)>,
}

impl Judge {
    pub(crate) fn judge(
        &mut self,
        secret: &NodeSecret,
        node: u8,
        unix_seconds: u64,
        bind: &Bind<'_>,
    ) -> Result<NodeClaim, Doubt> {
        let claim = claim_in(bind).ok_or(Doubt::Malformed)?;
        let expected = proof_of(secret, bind.address_range);
        let (first, rest) = expected.split_at(PASSWORD_LENGTH);
        let is_right = first.ct_eq(bind.password) & rest.ct_eq(bind.system_type);
        if !bool::from(is_right) {
            return Err(Doubt::WrongProof);
        }
        if claim.to != node {
            return Err(Doubt::NotForUs);
        }
        if claim.unix_seconds.abs_diff(unix_seconds) > CLOCKS_APART_MAX {
            return Err(Doubt::Stale);
        }
        self.seen.retain(|(made, _)| made + 2 * CLOCKS_APART_MAX >= unix_seconds);
        if self.seen.len() >= SEEN_MAX || self.seen.iter().any(|(_, nonce)| *nonce == claim.nonce) {
            return Err(Doubt::Repeated);
        }
        self.seen.push_back((claim.unix_seconds, claim.nonce));
        Ok(claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: NodeClaim = NodeClaim {
        vendor: VendorId(0x811c_9dc5),
        slot: 7,
        from: 1,
        to: 2,
        unix_seconds: 2_000_000_000,
        nonce: 0xfedc_ba98_7654_3210,
    };

    #[test]
    fn a_proof_fits_the_fields_of_the_standard_and_is_believed_once() {
        let secret = NodeSecret::new(b"of all nodes");
        let proof = Proof::new(&secret, &CLAIM);
        let bind = proof.bind();
        assert_eq!((bind.password.len(), bind.system_type.len(), bind.address_range.len()), (8, 12, 40));
        assert!(bind.system_id.len() < smpp::limits::SYSTEM_ID_SIZE_MAX);
        let mut judge = Judge::default();
        assert_eq!(judge.judge(&secret, 2, CLAIM.unix_seconds + 9, &bind), Ok(CLAIM));
        assert_eq!(judge.judge(&secret, 2, CLAIM.unix_seconds + 9, &bind), Err(Doubt::Repeated));
    }

    #[test]
    fn anything_else_is_doubted() {
        let secret = NodeSecret::new(b"of all nodes");
        let check = |claim: NodeClaim, with: &[u8], node: u8, later: u64, expected: Doubt| {
            let proof = Proof::new(&NodeSecret::new(with), &claim);
            let judged = Judge::default().judge(&secret, node, CLAIM.unix_seconds + later, &proof.bind());
            assert_eq!(judged, Err(expected));
        };
        check(CLAIM, b"of another", 2, 0, Doubt::WrongProof);
        check(CLAIM, b"", 2, 0, Doubt::WrongProof);
        check(CLAIM, b"of all nodes", 3, 0, Doubt::NotForUs);
        check(CLAIM, b"of all nodes", 2, 61, Doubt::Stale);
        check(NodeClaim { unix_seconds: 0, ..CLAIM }, b"of all nodes", 2, 0, Doubt::Stale);
        // Another claim under a proof that is right for its own.
        let (right, other) =
            (Proof::new(&secret, &CLAIM), Proof::new(&secret, &NodeClaim { slot: 8, ..CLAIM }));
        let bind = Bind { address_range: other.claim.as_bytes(), ..right.bind() };
        assert_eq!(Judge::default().judge(&secret, 2, CLAIM.unix_seconds, &bind), Err(Doubt::WrongProof));
        for range in
            [&b""[..], &[b'g'; 40], &[b'1'; 39], "é23456789012345678901234567890123456789".as_bytes()]
        {
            let bind = Bind { address_range: range, ..right.bind() };
            assert_eq!(Judge::default().judge(&secret, 2, CLAIM.unix_seconds, &bind), Err(Doubt::Malformed));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let secret = NodeSecret::new(b"of all nodes");
        let mut judge = Judge::default();
        for nonce in 0..=SEEN_MAX as u64 {
            let proof = Proof::new(&secret, &NodeClaim { nonce, ..CLAIM });
            let judged = judge.judge(&secret, 2, CLAIM.unix_seconds, &proof.bind());
            assert_eq!(judged.is_ok(), nonce < SEEN_MAX as u64);
        }
        let later = CLAIM.unix_seconds + 200;
        let proof = Proof::new(&secret, &NodeClaim { unix_seconds: later, ..CLAIM });
        assert!(judge.judge(&secret, 2, later, &proof.bind()).is_ok(), "the old ones are forgotten");
    }
}
