//! Helpers of this crate's tests.

use smpp::field::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::{Bind, SubmitSm};
use smpp::tlv::Tlvs;

use crate::scenario::{Behaviour, Scenario};

/// A bind request.
pub(crate) fn bind<'a>(system_id: &'a str, password: &'a str) -> Bind<'a> {
    Bind {
        system_id: system_id.as_bytes(),
        password: password.as_bytes(),
        system_type: b"",
        interface_version: 0x34,
        addr_ton: Ton(0),
        addr_npi: Npi(0),
        address_range: b"",
    }
}

/// A scenario with one site `a` on the default profile, its tables given as text, and one account `gw` / `pw`.
pub(crate) fn scenario(site: &str, rest: &str) -> Scenario {
    let text = format!(
        "[[site]]\nname = 'a'\nlisten = '127.0.0.1:0'\n{site}\n\
         [[account]]\nsystem_id = 'gw'\npassword = 'pw'\n{rest}\n"
    );
    Scenario::parse(&text, "test").unwrap_or_else(|error| panic!("{error}"))
}

/// The default profile with some tables laid over.
pub(crate) fn behaviour(site: &str) -> Behaviour {
    scenario(site, "").sites.remove(0).behaviour
}

/// A submit_sm that asks for a receipt.
pub(crate) fn submit(text: &[u8]) -> SubmitSm<'_> {
    let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
    SubmitSm {
        service_type: b"",
        source: address(&b"12025550100"[..]),
        destination: address(&b"13125550199"[..]),
        esm_class: EsmClass(0),
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: RegisteredDelivery(1),
        replace_if_present_flag: 0,
        data_coding: DataCoding(0),
        sm_default_msg_id: 0,
        short_message: text,
        tlvs: Tlvs::default(),
    }
}
