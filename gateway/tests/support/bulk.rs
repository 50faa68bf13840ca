//! The load of most end-to-end tests: one customer, "bulk", at a steady rate, until all its receipts are there.

/// What such a load leaves open.
#[derive(Clone, Copy)]
pub struct Bulk<'a> {
    /// How many sessions of which kind, and other lines of its account.
    pub account: &'a str,
    pub window: u32,
    pub rate: u32,
    pub seconds: u32,
    /// When nothing came for so long, nothing more is waited for.
    pub quiet_seconds: u32,
}

impl Default for Bulk<'_> {
    fn default() -> Self {
        Bulk { account: "binds = { trx = 2 }", window: 200, rate: 1000, seconds: 3, quiet_seconds: 20 }
    }
}

impl Bulk<'_> {
    /// What [`super::load`] takes.
    pub fn scenario(&self) -> String {
        let Bulk { account, window, rate, seconds, quiet_seconds } = self;
        format!(
            r#"
[[account]]
name = "bulk"
system_id = "bulk"
password = "secret"
window = {window}
receipts = {{ expect = true }}
{account}
[[mix]]
account = "bulk"
body = {{ encoding = "gsm7", length = {{ uniform = [40, 120] }} }}
[[phase]]
name = "steady"
rate = {rate}
for = "{seconds}s"
[[phase]]
name = "drain"
until = "receipts-complete"
max = "60s"
quiet = "{quiet_seconds}s"
"#
        )
    }
}
