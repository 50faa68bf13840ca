//! The common scenario: two accounts, two sites, the double between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use loadgen::scenario::Scenario as Load;
use loadgen::{Options, Outcome};
use runtime::BackendChoice;
use sim_smsc::{RunOptions, Running, Scenario as Sites, Simulator};

use super::fault::{Fault, Setup};
use super::proxy::Double;

/// What the judge said of a run.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// How often the double struck.
    pub(crate) strikes: u64,
    /// Offences by class.
    pub(crate) classes: BTreeMap<String, u64>,
    /// Why there is no verdict.
    pub(crate) invalid: Vec<String>,
    /// The whole page, for whoever looks into a difference.
    pub(crate) text: String,
}

/// Carries a run with this fault out, and judges it.
pub(crate) fn run(fault: &Fault) -> Judged {
    let directory = tempfile::tempdir().expect("a temporary folder");
    let sites = start_sites(&fault.setup, directory.path());
    let (mut outcome, strikes) = send(fault, &sites, directory.path());
    sites.stop().expect("the simulator ends in order");
    judge(&mut outcome, strikes, directory.path())
}

/// Starts both sites on free ports.
pub(crate) fn start_sites(setup: &Setup, directory: &Path) -> Running {
    let mut text = SITES.to_owned();
    for (index, (account, site, number)) in ACCOUNTS.iter().enumerate() {
        let first_id = if setup.numbered_alike { 1 } else { (index + 1) * 1_000_000 };
        let _ = write!(
            text,
            "[[site]]\nname = \"{site}\"\nlisten = \"127.0.0.1:0\"\nprofile = \"double\"\nids.start = {first_id}\n\
             mo = {{ {}, account = \"{account}\", destinations = [\"{number}\"] }}\n{}\n",
            setup.mobile.unwrap_or(MOBILE),
            setup.site
        );
    }
    for (account, ..) in ACCOUNTS {
        let _ = write!(text, "[[account]]\nsystem_id = \"{account}\"\npassword = \"secret\"\n");
    }
    text += setup.sites;
    let scenario = Sites::parse(&text, "sites").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options = RunOptions { out: Some(directory.to_owned()) };
    Simulator::start_with(scenario, options).expect("the simulator starts")
}

/// Sends through the double. Ledgers of the load go into the directory. Tells how often the double struck.
pub(crate) fn send(fault: &Fault, sites: &Running, directory: &Path) -> (Outcome, u64) {
    let addresses: Vec<SocketAddr> = sites.addresses().iter().map(|(_, address)| *address).collect();
    let accounts: Vec<_> =
        ACCOUNTS.iter().enumerate().map(|(site, (account, ..))| (*account, site)).collect();
    let double = Double::start(fault, &accounts, &addresses);
    let text = load_text(&fault.setup, double.address());
    let scenario = Load::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let options =
        Options { out: Some(directory.to_owned()), backend: BackendChoice::Tokio, ..Options::default() };
    let outcome = loadgen::run(scenario, options);
    let strikes = double.finish();
    assert_eq!(outcome.failure, None, "{}", fault.name);
    (outcome, strikes)
}

/// Joins the ledgers; the simulator's lies in `directory`.
pub(crate) fn judge(outcome: &mut Outcome, strikes: u64, directory: &Path) -> Judged {
    let ledger = directory.join(sim_smsc::LEDGER_FILE);
    let reconciliation = outcome.reconcile(&[ledger]).expect("readable ledgers");
    Judged {
        strikes,
        classes: reconciliation.classes.clone(),
        invalid: reconciliation.invalid.clone(),
        text: reconciliation.text(),
    }
}

fn load_text(setup: &Setup, target: SocketAddr) -> String {
    let window = setup.window.unwrap_or(WINDOW);
    let mut text = format!(
        "[run]\nname = \"double\"\nseed = 11\nlag_max = \"30s\"\nstall_max = \"30s\"\n\
         [target]\naddress = \"{target}\"\n{}\n",
        setup.target
    );
    let binds = if setup.one_session { ["trx = 1", "tx = 1, rx = 1"] } else { ["trx = 2", "tx = 2, rx = 1"] };
    for ((account, site, number), binds) in ACCOUNTS.iter().zip(binds) {
        let _ = write!(
            text,
            "[[account]]\nname = \"{account}\"\nsystem_id = \"{account}\"\npassword = \"secret\"\n\
             binds = {{ {binds} }}\nwindow = {window}\nnumbers = [\"{number}\"]\n\
             [[mix]]\naccount = \"{account}\"\n{MIX}\n{}\n",
            setup.mix.replace("SITE", site)
        );
    }
    let linger = setup.linger.unwrap_or(LINGER);
    let steady = setup.steady.unwrap_or(STEADY);
    let _ = write!(
        text,
        "[[phase]]\nname = \"steady\"\n{steady}\n\
         [[phase]]\nname = \"drain\"\nuntil = \"receipts-complete\"\nmax = \"30s\"\nquiet = \"1s\"\nlinger = \"{linger}\"\n{}\n",
        setup.load
    );
    text
}

/// Account, its site, its number.
const ACCOUNTS: [(&str, &str, &str); 2] = [("otp", "East", "12025550100"), ("bulk", "West", "12025550200")];

/// Messages of one part and of three in three alphabets, with every field that a mix can set.
const MIX: &str = r#"service_type = "CMT"
validity = "000000010000000R"
tlvs = ["1400:01", "1401:0a0b"]
source = ["Example", "12025550100"]
body = { encoding = { gsm7 = 2, latin1 = 1, ucs2 = 1 }, length = { uniform = [30, 160] }, segments = { "1" = 2, "3" = 1 } }"#;

/// The tag of the last TLV in [`MIX`].
pub(crate) const SUBMIT_TLV: u16 = 0x1401;

/// 60 MO to each account.
const MOBILE: &str = "rate = 300, count = 60";

/// About 670 submit_sm.
const STEADY: &str = "rate = 1000\nfor = \"400ms\"";

const WINDOW: u32 = 50;

const LINGER: &str = "200ms";

const SITES: &str = r#"[run]
name = "double"
seed = 7
backend = "tokio"
[http]
listen = "off"
[profile.double]
inherits = "fast"
[profile.double.response]
latency = { uniform = ["1ms", "6ms"] }
[profile.double.receipts]
tlvs = ["001E", "0427", "0423", "1403"]
text = "first-20"
date_digits = 12
ack_timeout = "60s"
[profile.double.receipts.states]
DELIVRD = { weight = 80, delay = { uniform = ["20ms", "50ms"] } }
UNDELIV = { weight = 20, err = [150, 202], delay = { uniform = ["20ms", "50ms"] } }
"#;
