//! The table: each fault, and the class that the judge must name. A row that names none is a freedom of the target
//! which must not be charged.

use std::time::Duration;

use super::alter::{receipt, response, submit};
use super::fault::{Act, Count, Fault, On};
use super::message::Response;
use super::proxy::Passing;

/// Every row.
pub(crate) fn table() -> Vec<Fault> {
    [
        submits(),
        submit_fields(),
        places(),
        answers(),
        receipts(),
        receipt_fields(),
        mobile(),
        acks(),
        limits(),
    ]
    .concat()
}

/// A submit_sm on its way.
fn submits() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::Submit, SUBMITS, act, class);
    vec![
        on("submit: swallowed, answered 0", Act::Answer(0), Some("lost")),
        on("submit: swallowed, answered with an error", Act::Answer(0x58), None),
        on("submit: swallowed, not answered", Act::Swallow, Some("unanswered")).target(SHORT_TIMEOUT),
        on("submit: swallowed, answered that nobody knows", Act::Answer(UNKNOWN), None),
        on("submit: twice", Act::Twice, Some("duplicated")),
        on("submit: twice, to both sites", Act::BothSites, Some("duplicated")),
        on("submit: delayed", Act::Hold(LATE), None),
        on("submit: overtaken, order promised", Act::Overtake, Some("out of order")).load(ORDER),
        on("submit: order kept", Act::Pass, None).load(ORDER),
        on("submit: overtaken, no order promised", Act::Overtake, None),
        on("submit: forged, with a key", Act::Forge(submit::other_key), Some("phantom")),
        on("submit: forged, without a key", Act::Forge(submit::no_key), Some("phantom")),
        on("submit: session cut", Act::Cut, None).one_in(100),
        on("submit: the same octets written anew", Act::Alter(submit::nothing), None),
    ]
}

/// A submit_sm with one field changed.
fn submit_fields() -> Vec<Fault> {
    let altered = |name, alter| Fault::new(name, On::Submit, SUBMITS, Act::Alter(alter), Some("altered"));
    let request = |name, alter| {
        Fault::new(name, On::Submit, SUBMITS, Act::Alter(alter), Some("receipt request altered"))
    };
    vec![
        altered("submit: service_type", submit::service_type),
        altered("submit: source type", submit::source_ton),
        altered("submit: source plan", submit::source_npi),
        altered("submit: source digits", submit::source_digits),
        altered("submit: destination type", submit::destination_ton),
        altered("submit: destination plan", submit::destination_npi),
        altered("submit: destination digits", submit::destination_digits),
        altered("submit: esm_class", submit::esm_class),
        altered("submit: protocol_id", submit::protocol_id),
        altered("submit: priority_flag", submit::priority),
        altered("submit: schedule_delivery_time", submit::schedule),
        altered("submit: validity_period", submit::validity),
        request("submit: no receipt asked for", submit::receipt_not_asked_for),
        request("submit: receipt asked for on failure", submit::receipt_on_failure),
        altered("submit: replace_if_present_flag", submit::replace),
        altered("submit: data_coding", submit::data_coding),
        altered("submit: sm_default_msg_id", submit::default_message),
        altered("submit: one octet behind the key", submit::octet_behind_key),
        altered("submit: one octet of the key", submit::octet_of_key),
        altered("submit: text cut", submit::text_cut),
        altered("submit: value of a TLV", submit::tlv_value),
        altered("submit: TLV removed", submit::tlv_removed),
        altered("submit: TLV added", submit::tlv_added),
    ]
}

/// A submit_sm that goes elsewhere.
fn places() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::Submit, SUBMITS, act, class);
    vec![
        on("submit: to the other site", Act::OtherSite, Some("wrong site")).only(is_first_part).mix(AT_HOME),
        on("submit: kept to its site", Act::Pass, None).mix(AT_HOME),
        on("submit: to the other site, none promised", Act::OtherSite, None).only(is_first_part),
        on("submit: one part to the other site", Act::OtherSite, Some("split"))
            .only(is_second_part)
            .load(ONE_SITE)
            .one_session(),
        on("submit: one part overtaken", Act::Overtake, Some("split"))
            .only(is_second_part)
            .load(ONE_SITE)
            .one_session(),
        on("submit: parts kept together", Act::Pass, None).load(ONE_SITE).one_session(),
        on("submit: by another session of the account", Act::OneSession, None),
    ]
}

/// A submit_sm_resp.
fn answers() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::SubmitResp, SUBMITS, act, class).only(is_taken);
    let changed = |name, alter, class| on(name, Act::AlterResponse(alter), class);
    vec![
        on("answer: swallowed", Act::Swallow, Some("unanswered")).target(SHORT_TIMEOUT),
        on("answer: twice", Act::Twice, Some("answered twice")),
        changed("answer: 0 to an error", response::refused, Some("refused but accepted")),
        changed("answer: an error to 0", response::taken, Some("lost"))
            .only(is_refused)
            .one_in(1)
            .sites(ERRORS),
        on("answer: errors of the sites passed on", Act::Pass, None).sites(ERRORS),
        changed("answer: 0 to the status that nobody knows", response::unknown, None),
        changed("answer: id", response::id, Some("altered receipts")),
        on("answer: ids of two exchanged", Act::ExchangeIds, Some("swapped receipts")),
        on("answer: too late", Act::Hold(TOO_LATE), Some("unanswered")).target(SHORT_TIMEOUT),
        on("answer: twice, the second later", Act::TwiceLate(LATER), Some("answered twice")),
        on("answer: delayed, behind its receipt", Act::Hold(LATE), None),
        on("answer: overtaken", Act::Overtake, None),
        on("ids: written otherwise, in receipts too", Act::Rename, None),
        on("ids: written otherwise, sites numbered alike", Act::Rename, None).numbered_alike(),
    ]
}

/// A receipt on its way.
fn receipts() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::Receipt, RECEIPTS, act, class);
    vec![
        on("receipt: swallowed, acknowledged", Act::Answer(0), Some("lost receipts")),
        on("receipt: swallowed, not acknowledged", Act::Swallow, Some("untaken receipts")),
        on("receipt: swallowed, refused for good", Act::Answer(0x65), Some("untaken receipts")),
        on("receipt: twice", Act::Twice, Some("duplicated receipts")),
        on("receipt: twice, the second later", Act::TwiceLate(LATER), Some("duplicated receipts")),
        on("receipt: to the other account", Act::OtherAccount, Some("misrouted receipts")),
        on("receipt: to the other account, numbered alike", Act::OtherAccount, Some("misrouted receipts"))
            .numbered_alike(),
        on("receipt: ids of two exchanged", Act::ExchangeIds, Some("swapped receipts")),
        on("receipt: ids of two exchanged, numbered alike", Act::ExchangeIds, Some("swapped receipts"))
            .numbered_alike(),
        on("receipt: forged, unknown id", Act::Forge(receipt::ids), Some("unknown receipts")),
        on("receipt: delayed", Act::Hold(LATE), None),
        on("receipt: overtaken", Act::Overtake, None),
    ]
}

/// A receipt with one field changed.
fn receipt_fields() -> Vec<Fault> {
    let on = |name, alter, class| Fault::new(name, On::Receipt, RECEIPTS, Act::Alter(alter), class);
    let altered = |name, alter| on(name, alter, Some("altered receipts"));
    vec![
        altered("receipt: stat of the text", receipt::stat),
        altered("receipt: message_state", receipt::state_tlv),
        altered("receipt: stat and message_state", receipt::stat_and_state),
        altered("receipt: err", receipt::err),
        on("receipt: err, which may be rewritten", receipt::err, None).target("rewrites = [\"error\"]"),
        altered("receipt: submit date", receipt::submit_date),
        altered("receipt: done date", receipt::done_date),
        on("receipt: done date, which may be rewritten", receipt::done_date, None)
            .target("rewrites = [\"done_date\"]"),
        altered("receipt: sub", receipt::sub),
        altered("receipt: dlvrd", receipt::dlvrd),
        altered("receipt: text", receipt::text),
        on("receipt: text, which may be rewritten", receipt::text, None).target("rewrites = [\"text\"]"),
        altered("receipt: source digits", receipt::source_digits),
        altered("receipt: source type", receipt::source_ton),
        altered("receipt: destination digits", receipt::destination_digits),
        altered("receipt: destination plan", receipt::destination_npi),
        altered("receipt: plus sign before the source", receipt::plus),
        altered("receipt: service_type", receipt::service_type),
        altered("receipt: protocol_id", receipt::protocol_id),
        altered("receipt: priority_flag", receipt::priority),
        altered("receipt: validity_period", receipt::validity),
        altered("receipt: registered_delivery", receipt::registered_delivery),
        altered("receipt: data_coding", receipt::data_coding),
        altered("receipt: mode in esm_class", receipt::mode),
        altered("receipt: no mark in esm_class", receipt::mark),
        altered("receipt: network_error_code", receipt::network_error),
        altered("receipt: network_error_code removed", receipt::no_network_error),
        altered("receipt: message_state removed", receipt::no_state),
        altered("receipt: TLV of the vendor", receipt::vendor_tlv),
        altered("receipt: TLV added", receipt::tlv_added),
        altered("receipt: receipted_message_id removed", receipt::no_id_tlv),
        altered("receipt: id of the TLV", receipt::id_tlv),
        altered("receipt: id of the text", receipt::id_text),
        altered("receipt: both ids", receipt::ids),
    ]
}

/// A mobile-originated message.
fn mobile() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::Mo, MOBILE, act, class).linger(BEYOND_THE_LAST_SECOND);
    let altered = |name, alter| on(name, Act::Alter(alter), Some("altered MO"));
    vec![
        on("MO: swallowed, acknowledged", Act::Answer(0), Some("lost MO")),
        on("MO: twice", Act::Twice, Some("duplicated MO")),
        on("MO: to the other account", Act::OtherAccount, Some("misrouted MO")),
        altered("MO: one octet behind the key", submit::octet_behind_key),
        altered("MO: one octet of the key", submit::octet_of_key),
        altered("MO: source digits", submit::source_digits),
        altered("MO: destination digits", submit::destination_digits),
        altered("MO: priority_flag", submit::priority),
        on("MO: forged", Act::Forge(submit::other_key), Some("unknown MO")),
        on("MO: delayed", Act::Hold(LATE), None),
    ]
}

/// A deliver_sm_resp.
fn acks() -> Vec<Fault> {
    let receipt = |name, act, class| Fault::new(name, On::ReceiptResp, RECEIPTS, act, class);
    let mobile = |name, act, class| Fault::new(name, On::MoResp, MOBILE, act, class);
    let (rejected, later) = (Act::AlterResponse(response::rejected), Act::AlterResponse(response::later));
    vec![
        receipt("ack: swallowed, the receipt comes again", Act::Swallow, None).site(AGAIN),
        receipt("ack: 0 to come again, and it does", later, None).site(AGAIN),
        receipt("ack: 0 to an error for good", rejected, Some("untaken receipts")),
        receipt("ack: twice", Act::Twice, None),
        receipt("ack: delayed", Act::Hold(LATE), None),
        mobile("ack: swallowed, the MO comes again", Act::Swallow, None).site(AGAIN),
    ]
}

/// What a contract with a site allows.
fn limits() -> Vec<Fault> {
    let on = |name, act, class| Fault::new(name, On::Submit, 1, act, class);
    let over = Some("over limit");
    vec![
        on("limit: one bind more", Act::ExtraBind, over).load(BINDS),
        on("limit: binds kept", Act::Pass, None).load(BINDS),
        on("limit: windows of two sessions in one", Act::OneSession, over)
            .load(WINDOW)
            .window(4)
            .site(SLOW)
            .counted(Count::Some),
        on("limit: window kept", Act::Pass, None).load(WINDOW).window(4).site(SLOW),
        on("limit: a second's messages at once", Act::Gather(Duration::from_millis(900)), over)
            .load(RATE)
            .steady(GENTLE)
            .window(500)
            .counted(Count::Some),
        on("limit: rate kept", Act::Pass, None).load(RATE).steady(GENTLE),
    ]
}

fn is_first_part(passing: &Passing) -> bool {
    passing.key.is_some_and(|key| key.segment == 0)
}

fn is_second_part(passing: &Passing) -> bool {
    passing.key.is_some_and(|key| key.segment == 1)
}

fn is_taken(passing: &Passing) -> bool {
    Response::read(&passing.bytes).status == 0
}

fn is_refused(passing: &Passing) -> bool {
    !is_taken(passing)
}

/// One in so many is struck, of about 670, 670 and 120 in a run.
const SUBMITS: u64 = 40;
const RECEIPTS: u64 = 40;
const MOBILE: u64 = 8;

/// By which a target says that it cannot know what became of a message.
const UNKNOWN: u32 = 0xFF;

/// A delay that no timer minds.
const LATE: Duration = Duration::from_millis(80);

/// Within the linger of the drain.
const LATER: Duration = Duration::from_millis(120);

/// What a site sent in a run's last second is forgiven: a target may have it still.
const BEYOND_THE_LAST_SECOND: &str = "1200ms";

/// A delay beyond [`SHORT_TIMEOUT`].
const TOO_LATE: Duration = Duration::from_millis(1_900);
const SHORT_TIMEOUT: &str = "response_timeout = \"1500ms\"";

const ORDER: &str = "[expect]\norder = true";
const ONE_SITE: &str = "[expect]\nparts = \"one-site\"";
const AT_HOME: &str = "expect_site = \"SITE\"";
const ERRORS: &str = "[[fault]]\nkind = \"errors\"\nat = \"0s\"\nfor = \"60s\"\np = 0.05\nstatus = 0x45";
const AGAIN: &str = "receipts.ack_timeout = \"300ms\"\nreceipts.redelivery.first = \"20ms\"";
const SLOW: &str = "response.latency = \"20ms\"";

const BINDS: &str =
    "[[expect.limit]]\nsite = \"East\"\nbinds = 2\n[[expect.limit]]\nsite = \"West\"\nbinds = 3";
const WINDOW: &str = "[[expect.limit]]\nsite = \"East\"\nwindow = 4";
const RATE: &str = "[[expect.limit]]\nsite = \"East\"\nper = \"account\"\nrate = 150\nburst = 40";
/// About 83 submits a second to each site.
const GENTLE: &str = "rate = 100\nfor = \"2s\"";
