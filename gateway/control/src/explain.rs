//! `GET /api/v1/routes/explain` and `gateway route explain`: why a message would go where. Nothing is sent.

use crate::http::Shared;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use relay::{
    AccountId, CircuitState, Encoding, LimitShown, Measure, RouteQuestion, Scope, Snapshot, TriedOutcome,
    VendorId, VendorStatus,
};
use serde::{Deserialize, Serialize};
use shard::VendorReport;
use smpp::field::DataCoding;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// A message that nobody sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteAsked {
    /// Its source address.
    #[serde(default)]
    pub from: String,
    /// Its destination address.
    pub to: String,
    /// system_id of its customer.
    pub customer: String,
    /// Its data_coding.
    #[serde(default)]
    pub data_coding: u8,
    /// When it arrives, seconds since 1970 UTC; now where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Why it would go where, as JSON. Its form may grow; fields do not change their meaning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteExplained {
    /// What was asked, its time filled in.
    pub asked: RouteAsked,
    /// `gsm7`, `latin1`, `ucs2` or `binary`.
    pub encoding: String,
    /// The customer is known.
    pub is_customer_known: bool,
    /// Country and network code of the destination, where known.
    pub network: Option<String>,
    /// Its carrier, where known.
    pub carrier: Option<String>,
    /// Routes in the order of the look-up, up to the one that is taken.
    pub tried: Vec<Tried>,
    /// Vendors of the one that is taken, those that are likely to be tried first in front.
    pub vendors: Vec<Vendor>,
    /// Limits on the way.
    pub limits: Vec<Limit>,
    /// False when vendors are only assumed to be bound and well.
    pub is_live: bool,
}

/// One alternative of the look-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Digits of its prefix.
    pub prefix: String,
    /// It is taken.
    pub is_taken: bool,
    /// Why it is taken, or not.
    pub why: String,
    /// Numbers of its routes in the configuration, from 1.
    pub routes: Vec<u32>,
}

/// One vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vendor {
    /// Its name.
    pub name: String,
    /// Messages in 1000 that would be tried there first.
    pub share_permille: u32,
    /// `well`, or what speaks against it.
    pub reason: String,
    /// Number of its route in the configuration, from 1.
    pub route: u32,
    /// The route's priority; lower is tried first.
    pub priority: u32,
    /// What a message costs there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Its share among those of its priority and price.
    pub weight: u32,
    /// Which part of it counts, in percent.
    pub health_percent: u32,
    /// Bound links that may submit.
    pub links: u64,
    /// Messages it has not answered.
    pub in_flight: u64,
    /// Messages that wait for it.
    pub queue: u64,
    /// It asked for a pause that is not over.
    pub is_paused: bool,
    /// `closed`, `half_open` or `open`.
    pub circuit: String,
    /// What changes on the way there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub rewrites: Vec<String>,
}

/// A limit on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What it limits.
    pub scope: String,
    /// Of which one.
    pub name: String,
    /// Its value, with unit.
    pub value: String,
}

/// Explains by a snapshot. Without reports of shards, vendors are assumed to be bound and well.
pub fn explain_route(
    snapshot: &Snapshot,
    asked: RouteAsked,
    live: Option<&BTreeMap<VendorId, VendorStatus>>,
) -> RouteExplained {
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let asked = RouteAsked { at: Some(asked.at.unwrap_or_else(now)), ..asked };
    let encoding = Encoding::of(DataCoding(asked.data_coding));
    let question = RouteQuestion {
        account: AccountId::of_name(asked.customer.as_bytes()),
        source: asked.from.as_bytes(),
        destination: asked.to.as_bytes(),
        campaign: snapshot.limit_table().campaign_of(asked.from.as_bytes()),
        encoding,
        unix_seconds: asked.at.unwrap_or_default(),
    };
    let status = |vendor: VendorId| match live {
        None => VendorStatus::WELL,
        Some(live) => live.get(&vendor).copied().unwrap_or(VendorStatus::UNBOUND),
    };
    let found = relay::explain(snapshot, &question, status);
    let network = found.network.as_ref();
    RouteExplained {
        encoding: encoding.name().into(),
        is_customer_known: found.is_customer_known,
        network: network.map(|network| network.code.to_string()),
        carrier: network.map(|network| network.carrier.to_string()).filter(|carrier| !carrier.is_empty()),
        tried: found.tried.iter().map(tried).collect(),
        vendors: found.vendors.iter().map(vendor).collect(),
        limits: found.limits.iter().map(limit).collect(),
        is_live: live.is_some(),
        asked,
    }
}

fn limit(limit: &LimitShown) -> Limit {
    let counted = match limit.scope {
        Scope::Source | Scope::Campaign | Scope::Brand => "segments",
        Scope::Bind | Scope::Account | Scope::Vendor | Scope::VendorBind => "messages",
    };
    let value = match limit.measure {
        Measure::PerSecond { rate_milli, burst } => {
            let (whole, thousandths) = (rate_milli / 1000, rate_milli % 1000);
            let rest = if thousandths == 0 { String::new() } else { format!(".{thousandths:03}") };
            format!("{whole}{rest} {counted}/s, {burst} above that at once")
        }
        Measure::PerDay { cap } => format!("{cap} {counted} a day in Los Angeles"),
    };
    Limit { scope: limit.scope.label().into(), name: limit.name.to_string(), value }
}

fn tried(tried: &relay::TriedRoute) -> Tried {
    let whose = |is_own| if is_own { "the customer's own" } else { "for all customers" };
    let (is_taken, why) = match tried.outcome {
        TriedOutcome::Matched { is_own } => (true, format!("matches, {}", whose(is_own))),
        TriedOutcome::Failed { is_own, condition } => {
            (false, format!("{} does not hold, {}", condition.name(), whose(is_own)))
        }
        TriedOutcome::Others { accounts } => {
            (false, format!("only for others: customers with one: {accounts}"))
        }
    };
    let routes = tried.routes.iter().map(|route| route + 1).collect();
    Tried { prefix: tried.prefix.clone(), is_taken, why, routes }
}

fn vendor(vendor: &relay::ExplainedVendor) -> Vendor {
    let relay::Rewrite { source, destination_strip, destination_add } = &vendor.rewrite;
    let source =
        source.as_ref().map(|new| format!("source {} (ton {}, npi {})", new.digits, new.ton, new.npi));
    let strip = (!destination_strip.is_empty()).then(|| format!("destination without {destination_strip}"));
    let add = (!destination_add.is_empty()).then(|| format!("destination with {destination_add} before it"));
    let status = vendor.status;
    Vendor {
        name: vendor.name.to_string(),
        share_permille: vendor.share_permille,
        reason: vendor.reason.label().into(),
        route: vendor.route + 1,
        priority: vendor.priority,
        price: vendor.price.map(|price| price.to_string()),
        weight: vendor.weight,
        health_percent: u32::from(status.health) * 100 / 64,
        links: status.links,
        in_flight: status.in_flight,
        queue: status.queue,
        is_paused: status.is_paused,
        circuit: status.circuit.label().into(),
        rewrites: [source, strip, add].into_iter().flatten().collect(),
    }
}

impl RouteExplained {
    /// The same for a person to read.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let asked = &self.asked;
        let at = i64::try_from(asked.at.unwrap_or_default()).ok();
        let at =
            at.and_then(|at| jiff::Timestamp::from_second(at).ok()).map_or("?".into(), |at| at.to_string());
        let from = if asked.from.is_empty() { "(no source)" } else { &asked.from };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "message of {}: {from} -> {}, {} (data_coding {}), at {at}",
            asked.customer, asked.to, self.encoding, asked.data_coding
        );
        if !self.is_customer_known {
            let _ = writeln!(text, "  no such customer: only routes for all customers can match");
        }
        let carrier = self.carrier.as_ref().map(|carrier| format!(" ({carrier})")).unwrap_or_default();
        let network = self.network.clone().unwrap_or_else(|| "not known".into());
        let _ = writeln!(text, "  network: {network}{carrier}\nroutes");
        for tried in &self.tried {
            let mark = if tried.is_taken { '*' } else { '-' };
            let routes: Vec<String> = tried.routes.iter().map(|route| format!("#{route}")).collect();
            let routes = if routes.is_empty() { String::new() } else { format!(" [{}]", routes.join(" ")) };
            let _ = writeln!(text, "  {mark} prefix \"{}\"{routes}: {}", tried.prefix, tried.why);
        }
        if !self.tried.iter().any(|tried| tried.is_taken) {
            let _ = writeln!(text, "  no route: the message would be refused");
        }
        if !self.vendors.is_empty() {
            let _ = writeln!(
                text,
                "vendors{}",
                if self.is_live { "" } else { " (assumed to be bound and well)" }
            );
            self.tell_vendors(&mut text);
            if self.vendors.iter().all(|vendor| vendor.share_permille == 0) {
                let _ = writeln!(text, "  none can be tried: the message would be refused");
            }
        }
        for (at, limit) in self.limits.iter().enumerate() {
            let heading = if at == 0 { "limits\n" } else { "" };
            let _ = writeln!(text, "{heading}  {} {}: {}", limit.scope, limit.name, limit.value);
        }
        text
    }

    fn tell_vendors(&self, text: &mut String) {
        let width = self.vendors.iter().map(|vendor| vendor.name.chars().count()).max().unwrap_or_default();
        for vendor in &self.vendors {
            let share = f64::from(vendor.share_permille) / 10.0;
            let price = vendor.price.as_ref().map(|price| format!(", price {price}")).unwrap_or_default();
            let _ = write!(
                text,
                "  {:<width$} {share:>5.1} % first  {:<18} route #{}, priority {}{price}, weight {} x health {} %",
                vendor.name,
                vendor.reason,
                vendor.route,
                vendor.priority,
                vendor.weight,
                vendor.health_percent
            );
            if self.is_live {
                let _ = write!(
                    text,
                    "; links {}, in flight {}, queue {}, circuit {}",
                    vendor.links, vendor.in_flight, vendor.queue, vendor.circuit
                );
            }
            text.push('\n');
            for rewrite in &vendor.rewrites {
                let _ = writeln!(text, "  {:<width$} rewrites: {rewrite}", "");
            }
        }
    }
}

/// How the vendors do, by the newest reports of all shards.
fn statuses<'a>(reports: impl Iterator<Item = &'a VendorReport>) -> BTreeMap<VendorId, VendorStatus> {
    let mut sums: BTreeMap<VendorId, VendorReport> = BTreeMap::new();
    for report in reports {
        if let Some(id) = report.id {
            sums.entry(id).or_default().add(report);
        }
    }
    let status = |sum: &VendorReport| VendorStatus {
        links: sum.traffic.links,
        in_flight: sum.traffic.in_flight,
        queue: sum.traffic.queue_length,
        is_paused: sum.health.paused > 0,
        circuit: match (sum.health.open, sum.health.half_open) {
            (0, 0) => CircuitState::Closed,
            (0, _) => CircuitState::HalfOpen,
            _ => CircuitState::Open,
        },
        health: (sum.health.ratio() * 64.0).round() as u8,
    };
    sums.iter().map(|(id, sum)| (*id, status(sum))).collect()
}

/// By what the shards last reported.
pub(crate) async fn by_question(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<RouteAsked>,
) -> Response {
    let reports: Vec<_> = shared.sources.shards.iter().map(|slot| slot.load_full()).collect();
    let Some(plan) = reports.iter().find_map(|report| report.plan.as_ref()) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "no shard has reported yet\n").into_response();
    };
    let live = statuses(reports.iter().flat_map(|report| &report.vendors));
    let explained = explain_route(&plan.snapshot, asked, Some(&live));
    match serde_json::to_string(&explained) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], format!("{text}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::path::Path;

    const FILE: &str = r#"
[[customer]]
system_id = "acme"
password = "secret"
rate = 100
[[vendor]]
name = "west"
addresses = ["127.0.0.1:3611"]
system_id = "gw01"
password = "secret"
[[vendor]]
name = "east"
addresses = ["127.0.0.1:3612"]
system_id = "gw01"
password = "secret"
encodings = ["gsm7"]
[[network]]
prefix = "1202"
mcc = "310"
mnc = "260"
carrier = "tmobile"
[[route]]
prefix = "1"
vendors = [{ name = "east", weight = 1 }]
[[route]]
prefix = "1"
network = "310260"
cheapest = true
rewrite_source = "ACME"
vendors = [{ name = "west", price = "0.0042" }, { name = "east", price = "0.0051" }]
[[route]]
prefix = "1202"
customer = "acme"
hours = "08:00-20:00"
vendors = [{ name = "west" }]
"#;

    fn ask(data_coding: u8, live: Option<&BTreeMap<VendorId, VendorStatus>>) -> RouteExplained {
        let config = config::parse(Path::new("gw.toml"), FILE, &[]).unwrap();
        let snapshot = config::build(&config).unwrap().plan.snapshot.clone();
        let asked = RouteAsked {
            from: "12025550100".into(),
            to: "+12025550123".into(),
            customer: "acme".into(),
            data_coding,
            at: Some(1_767_225_600 + 7 * 3600),
        };
        explain_route(&snapshot, asked, live)
    }

    #[test]
    fn the_text_says_what_was_tried_and_why() {
        let expected = r#"message of acme: 12025550100 -> +12025550123, gsm7 (data_coding 0), at 2026-01-01T07:00:00Z
  network: 310260 (tmobile)
routes
  - prefix "1202" [#3]: hours does not hold, the customer's own
  * prefix "1" [#2]: matches, for all customers
vendors (assumed to be bound and well)
  west 100.0 % first  well               route #2, priority 10, price 0.0042, weight 1 x health 100 %
       rewrites: source ACME (ton 5, npi 0)
  east   0.0 % first  well               route #2, priority 10, price 0.0051, weight 1 x health 100 %
       rewrites: source ACME (ton 5, npi 0)
limits
  customer acme: 100 messages/s, 100 above that at once
"#;
        let found = ask(0, None).text();
        assert_eq!(found, expected, "\n{found}");
    }

    #[test]
    fn live_states_decide_and_survive_json() {
        let id = |name: &str| VendorId::of_name(name.as_bytes());
        let open = VendorStatus { circuit: CircuitState::Open, health: 1, ..VendorStatus::WELL };
        let live = BTreeMap::from([(id("west"), open), (id("east"), VendorStatus::WELL)]);
        let found = ask(0, Some(&live));
        let order: Vec<_> =
            found.vendors.iter().map(|vendor| (vendor.name.as_str(), vendor.share_permille)).collect();
        assert_eq!(order, [("east", 1000), ("west", 0)]);
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<RouteExplained>(&text).unwrap(), found);
        let ucs2 = ask(8, Some(&live));
        assert_eq!(
            (ucs2.vendors[0].name.as_str(), ucs2.vendors[0].reason.as_str()),
            ("west", "circuit open")
        );
        assert!(ask(0, Some(&BTreeMap::new())).text().contains("none can be tried"));
    }
}
