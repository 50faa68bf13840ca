//! One line of text for a PDU: every field that is neither zero nor empty.

use std::fmt::Write;

use smpp::{
    Address, AlertNotification, Bind, CancelSm, DataSm, DeliverSm, Destination, Header, Pdu, QuerySm,
    QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp, SubmitSm, Tlvs,
};

/// `ok` with the PDU, as vectors write it.
pub(crate) fn describe(header: Header, pdu: &Pdu<'_>) -> String {
    let mut line = Line(format!("ok {}", header.command_id.name().unwrap()));
    line.number("status", header.command_status.0);
    write!(line.0, " sequence={}", header.sequence_number).unwrap();
    match pdu {
        Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind) => line.bind(bind),
        Pdu::BindTransmitterResp(resp) | Pdu::BindReceiverResp(resp) | Pdu::BindTransceiverResp(resp) => {
            line.text("system_id", resp.system_id);
            line.tlvs(&resp.tlvs);
        }
        Pdu::Outbind(outbind) => {
            line.text("system_id", outbind.system_id);
            line.text("password", outbind.password);
        }
        Pdu::SubmitSm(submit) => line.submit_sm(submit),
        Pdu::DeliverSm(deliver) => line.submit_sm(&as_submit(deliver)),
        Pdu::DataSm(data) => line.data_sm(data),
        Pdu::SubmitMulti(submit) => line.submit_multi(submit),
        Pdu::SubmitSmResp(resp) => line.response(resp.message_id, &resp.tlvs),
        Pdu::DeliverSmResp(resp) => line.response(resp.message_id, &resp.tlvs),
        Pdu::DataSmResp(resp) => line.response(resp.message_id, &resp.tlvs),
        Pdu::SubmitMultiResp(resp) => line.submit_multi_resp(resp),
        Pdu::QuerySm(query) => line.query_sm(query),
        Pdu::QuerySmResp(resp) => line.query_sm_resp(resp),
        Pdu::CancelSm(cancel) => line.cancel_sm(cancel),
        Pdu::ReplaceSm(replace) => line.replace_sm(replace),
        Pdu::AlertNotification(alert) => line.alert_notification(alert),
        Pdu::Unbind
        | Pdu::UnbindResp
        | Pdu::EnquireLink
        | Pdu::EnquireLinkResp
        | Pdu::CancelSmResp
        | Pdu::ReplaceSmResp
        | Pdu::GenericNack => {}
    }
    line.0
}

/// The two have one layout; the view of the other is made field by field so that a difference does not compile.
fn as_submit<'a>(deliver: &DeliverSm<'a>) -> SubmitSm<'a> {
    SubmitSm {
        service_type: deliver.service_type,
        source: deliver.source,
        destination: deliver.destination,
        esm_class: deliver.esm_class,
        protocol_id: deliver.protocol_id,
        priority_flag: deliver.priority_flag,
        schedule_delivery_time: deliver.schedule_delivery_time,
        validity_period: deliver.validity_period,
        registered_delivery: deliver.registered_delivery,
        replace_if_present_flag: deliver.replace_if_present_flag,
        data_coding: deliver.data_coding,
        sm_default_msg_id: deliver.sm_default_msg_id,
        short_message: deliver.short_message,
        tlvs: deliver.tlvs,
    }
}

struct Line(String);

impl Line {
    fn number(&mut self, key: &str, value: impl Into<u32>) {
        let value = value.into();
        if value != 0 {
            write!(self.0, " {key}={value}").unwrap();
        }
    }

    fn text(&mut self, key: &str, value: &[u8]) {
        if !value.is_empty() {
            write!(self.0, " {key}={}", plain(value)).unwrap();
        }
    }

    fn address(&mut self, key: &str, address: &Address<'_>) {
        if *address != Address::default() {
            write!(self.0, " {key}={}", dotted(address)).unwrap();
        }
    }

    fn tlvs(&mut self, tlvs: &Tlvs<'_>) {
        for tlv in tlvs {
            write!(self.0, " tlv.{:04X}={}", tlv.tag.0, hex(tlv.value)).unwrap();
        }
        if let Some(at) = tlvs.cut_at() {
            write!(self.0, " cut={}", hex(&tlvs.as_bytes()[at..])).unwrap();
        }
    }

    fn response(&mut self, message_id: &[u8], tlvs: &Tlvs<'_>) {
        self.text("message_id", message_id);
        self.tlvs(tlvs);
    }

    fn bind(&mut self, bind: &Bind<'_>) {
        self.text("system_id", bind.system_id);
        self.text("password", bind.password);
        self.text("system_type", bind.system_type);
        self.number("interface_version", bind.interface_version);
        self.number("addr_ton", bind.addr_ton.0);
        self.number("addr_npi", bind.addr_npi.0);
        self.text("address_range", bind.address_range);
    }

    fn submit_sm(&mut self, pdu: &SubmitSm<'_>) {
        self.text("service_type", pdu.service_type);
        self.address("source", &pdu.source);
        self.address("destination", &pdu.destination);
        self.number("esm_class", pdu.esm_class.0);
        self.number("protocol_id", pdu.protocol_id);
        self.number("priority_flag", pdu.priority_flag);
        self.text("schedule_delivery_time", pdu.schedule_delivery_time);
        self.text("validity_period", pdu.validity_period);
        self.number("registered_delivery", pdu.registered_delivery.0);
        self.number("replace_if_present_flag", pdu.replace_if_present_flag);
        self.number("data_coding", pdu.data_coding.0);
        self.number("sm_default_msg_id", pdu.sm_default_msg_id);
        self.text("short_message", pdu.short_message);
        self.tlvs(&pdu.tlvs);
    }

    fn submit_multi(&mut self, pdu: &SubmitMulti<'_>) {
        self.text("service_type", pdu.service_type);
        self.address("source", &pdu.source);
        let destinations: Vec<String> = pdu
            .destinations
            .iter()
            .map(|destination| match destination {
                Destination::Address(address) => dotted(&address),
                Destination::List(name) => format!("list:{}", plain(name)),
            })
            .collect();
        assert_eq!(destinations.len(), pdu.destinations.len());
        write!(self.0, " destinations={}", destinations.join(",")).unwrap();
        self.number("esm_class", pdu.esm_class.0);
        self.number("protocol_id", pdu.protocol_id);
        self.number("priority_flag", pdu.priority_flag);
        self.text("schedule_delivery_time", pdu.schedule_delivery_time);
        self.text("validity_period", pdu.validity_period);
        self.number("registered_delivery", pdu.registered_delivery.0);
        self.number("replace_if_present_flag", pdu.replace_if_present_flag);
        self.number("data_coding", pdu.data_coding.0);
        self.number("sm_default_msg_id", pdu.sm_default_msg_id);
        self.text("short_message", pdu.short_message);
        self.tlvs(&pdu.tlvs);
    }

    fn submit_multi_resp(&mut self, resp: &SubmitMultiResp<'_>) {
        self.text("message_id", resp.message_id);
        let unsuccesses: Vec<String> = resp
            .unsuccesses
            .iter()
            .map(|unsuccess| format!("{}:{}", dotted(&unsuccess.destination), unsuccess.error.0))
            .collect();
        assert_eq!(unsuccesses.len(), resp.unsuccesses.len());
        if !unsuccesses.is_empty() {
            write!(self.0, " unsuccesses={}", unsuccesses.join(",")).unwrap();
        }
    }

    fn data_sm(&mut self, pdu: &DataSm<'_>) {
        self.text("service_type", pdu.service_type);
        self.address("source", &pdu.source);
        self.address("destination", &pdu.destination);
        self.number("esm_class", pdu.esm_class.0);
        self.number("registered_delivery", pdu.registered_delivery.0);
        self.number("data_coding", pdu.data_coding.0);
        self.tlvs(&pdu.tlvs);
    }

    fn query_sm(&mut self, pdu: &QuerySm<'_>) {
        self.text("message_id", pdu.message_id);
        self.address("source", &pdu.source);
    }

    fn query_sm_resp(&mut self, pdu: &QuerySmResp<'_>) {
        self.text("message_id", pdu.message_id);
        self.text("final_date", pdu.final_date);
        self.number("message_state", pdu.message_state);
        self.number("error_code", pdu.error_code);
    }

    fn cancel_sm(&mut self, pdu: &CancelSm<'_>) {
        self.text("service_type", pdu.service_type);
        self.text("message_id", pdu.message_id);
        self.address("source", &pdu.source);
        self.address("destination", &pdu.destination);
    }

    fn replace_sm(&mut self, pdu: &ReplaceSm<'_>) {
        self.text("message_id", pdu.message_id);
        self.address("source", &pdu.source);
        self.text("schedule_delivery_time", pdu.schedule_delivery_time);
        self.text("validity_period", pdu.validity_period);
        self.number("registered_delivery", pdu.registered_delivery.0);
        self.number("sm_default_msg_id", pdu.sm_default_msg_id);
        self.text("short_message", pdu.short_message);
    }

    fn alert_notification(&mut self, pdu: &AlertNotification<'_>) {
        self.address("source", &pdu.source);
        self.address("esme", &pdu.esme);
        self.tlvs(&pdu.tlvs);
    }
}

fn dotted(address: &Address<'_>) -> String {
    format!("{}.{}.{}", address.ton.0, address.npi.0, plain(address.digits))
}

fn plain(value: &[u8]) -> String {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"+-_:@/".contains(octet);
    if value.iter().all(is_plain) {
        String::from_utf8_lossy(value).into_owned()
    } else {
        format!("x{}", hex(value))
    }
}

fn hex(value: &[u8]) -> String {
    value.iter().map(|octet| format!("{octet:02X}")).collect()
}
