//! A file and an environment, and what is said about them.

use super::*;

const GOOD: &str = r#"
[node]
name = "gw1"
id = 1
[listen]
smpp = "127.0.0.1:0"
http = "127.0.0.1:0"
[[customer]]
system_id = "acme"
password = "secret"
rate = 1000
numbers = ["12025550100"]
[[vendor]]
name = "west"
addresses = ["127.0.0.1:3611"]
system_id = "gw01"
password = "secret"
dialect = { tlv_cut = true }
[[route]]
prefix = "1"
customer = "acme"
vendors = [{ name = "west", weight = 50 }]
"#;

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<Mistake>> {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    parse(Path::new("gw.toml"), text, &variables)
}

fn mistakes(result: Result<Config, Vec<Mistake>>) -> Vec<String> {
    result.map(|_| Vec::new()).unwrap_or_else(|mistakes| mistakes.iter().map(Mistake::to_string).collect())
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(mistakes(parse_with(text, &[])), expected, "of\n{text}");
}

#[test]
fn a_good_file_has_no_mistakes() {
    let config = parse_with(GOOD, &[]).unwrap();
    assert_eq!((config.node.name.as_str(), config.node.id), ("gw1", 1));
    assert_eq!(config.customers[0].burst, 1000, "one second's worth");
    assert!(config.vendors[0].dialect.tlv_cut && !config.vendors[0].dialect.response_tlvs);
    assert_eq!(config.store.time_to_live.as_secs(), 72 * 3600);
    let built = build(&config).unwrap();
    assert_eq!(**built.plan.vendors[0].addresses.load(), ["127.0.0.1:3611".parse().unwrap()]);
    assert_eq!(built.plan.snapshot.owner(b"12025550100"), Some(::relay::AccountId::of_name(b"acme")));
    assert_eq!(built.guests.credentials.len(), 1);
    assert!(built.warnings.is_empty(), "{:?}", built.warnings);
    assert!(built.store.unwrap().directory.ends_with("state/store"));
}

#[test]
fn store_and_forward_opens_a_spool_and_rather_tries_twice() {
    let with = |lines: &str| {
        let text = GOOD.replacen("rate = 1000", &format!("rate = 1000\n{lines}"), 1);
        build(&parse_with(&text, &[]).unwrap()).unwrap()
    };
    let account = |built: &Built| {
        let account = &built.plan.snapshot.accounts()[0];
        (account.mode, account.unknown_outcome)
    };
    use ::relay::{Mode, UnknownOutcome};
    let relaying = with("");
    assert!(relaying.spool.is_none() && relaying.plan.snapshot.spool().is_none());
    assert_eq!(account(&relaying), (Mode::Relay, UnknownOutcome::Fail));
    let spooled = with("mode = \"store_and_forward\"");
    assert_eq!(account(&spooled), (Mode::StoreAndForward, UnknownOutcome::RetryOther));
    assert!(spooled.spool.unwrap().directory.ends_with("state/spool"));
    assert_eq!(spooled.plan.snapshot.spool().unwrap().retry_first.as_secs(), 5);
    let strict = with("mode = \"store_and_forward\"\nunknown_outcome = \"fail\"");
    assert_eq!(account(&strict), (Mode::StoreAndForward, UnknownOutcome::Fail));
    check(
        "[spool]\nretry_first = \"10s\"\nretry_max = \"5s\"\nvalidity = \"8d\"\n",
        &[
            "gw.toml:3:13: [spool]: retry_max is shorter than retry_first; make retry_max at least as long",
            "gw.toml:4:12: [spool]: validity is \"8d\"; use duration, 1s to 7d",
        ],
    );
}

#[test]
fn a_spool_that_is_there_is_opened_whatever_the_modes_are() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("state/spool")).unwrap();
    let config = parse(&directory.path().join("gw.toml"), GOOD, &[]).unwrap();
    assert!(build(&config).unwrap().spool.is_some(), "what was acknowledged is owed");
}

#[test]
fn an_empty_file_is_a_gateway_without_customers() {
    let config = parse_with("", &[]).unwrap();
    assert_eq!(config.listen.smpp.port(), 2775);
    assert_eq!(build(&config).unwrap().warnings.len(), 2);
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    check(
        "[node]\nid = 256\nnmae = \"x\"\n[lisen]\n[store]\ntime_to_live = \"8d\"\nkind = \"redis\"\n",
        &[
            "gw.toml:2:6: [node]: id is 256; use whole number, 0 to 255, or \"auto\"",
            "gw.toml:3:1: [node]: unknown key \"nmae\"; did you mean \"name\"?",
            "gw.toml:4:2: unknown section \"lisen\"; did you mean \"listen\"?",
            "gw.toml:6:16: [store]: time_to_live is \"8d\"; use duration, 1s to 7d",
            "gw.toml:7:8: [store]: there is no address of Redis; write url or url_file, or set GATEWAY__STORE__URL",
        ],
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table from each mistake to its words")]
fn mistakes_of_each_kind() {
    let file = |section: &str, line: &str| format!("[{section}]\n{line}\n");
    for (section, line, expected) in [
        ("node", "name = 5", "gw.toml:2:8: [node]: name is 5; write text in quotes"),
        ("node", "id = -1", "gw.toml:2:6: [node]: id is -1; use whole number, 0 to 255, or \"auto\""),
        (
            "runtime",
            "backend = \"uring\"",
            "gw.toml:2:11: [runtime]: backend is \"uring\"; use one of \"auto\", \"glommio\" or \"tokio\"",
        ),
        (
            "runtime",
            "cores = [1, 1]",
            "gw.toml:2:9: [runtime]: cores names a core twice; give each shard a core of its own",
        ),
        (
            "runtime",
            "cores = [1, 2]\nshards = 3",
            "gw.toml:2:9: [runtime]: cores names 2 cores for 3 shards; name one core for each shard, or leave out one of the two",
        ),
        (
            "listen",
            "smpp = \"2775\"",
            "gw.toml:2:8: [listen]: smpp is \"2775\"; write an IP address and a port, such as \"0.0.0.0:2775\"",
        ),
        (
            "listen",
            "http = \"0.0.0.0:2775\"",
            "gw.toml:2:8: [listen]: http and smpp have the same address; give each a port of its own",
        ),
        (
            "session",
            "bind_timeout = 5",
            "gw.toml:2:16: [session]: bind_timeout is 5; write a duration such as \"500ms\", \"5s\" or \"72h\"",
        ),
        (
            "session",
            "inactivity = \"10s\"",
            "gw.toml:2:14: [session]: inactivity closes a link before enquire_link can ask; make inactivity longer than enquire_link, or 0s",
        ),
        (
            "relay",
            "hold_max = \"15s\"",
            "gw.toml:2:1: [relay]: unknown key \"hold_max\"; leave it out: the policy \"hold\" is no more, and \"fail\" answers at once",
        ),
        (
            "relay",
            "unknown_window = \"2d\"",
            "gw.toml:2:18: [relay]: unknown_window is \"2d\"; use duration, 1s to 1d",
        ),
        (
            "store",
            "kind = \"redis\"",
            "gw.toml:2:8: [store]: there is no address of Redis; write url or url_file, or set GATEWAY__STORE__URL",
        ),
        (
            "store",
            "kind = \"redis\"\nurl = \"localhost\"",
            "gw.toml:3:7: [store]: url is no address of a Redis: it begins with neither redis:// nor rediss://; write redis://host:port, or rediss:// for TLS",
        ),
        (
            "store",
            "kind = \"redis\"\nurl = \"redis://a:1\"\nurl_file = \"b\"",
            "gw.toml:4:12: [store]: url_file stands beside url; keep one of them",
        ),
        (
            "node",
            "name = ",
            "gw.toml:2:8: no TOML: string values must be quoted, expected literal string; correct the line",
        ),
    ] {
        let found = mistakes(parse_with(&file(section, line), &[]));
        if line.ends_with("= ") {
            assert!(
                found.len() == 1 && found[0].starts_with("gw.toml:2:") && found[0].contains("no TOML"),
                "{found:?}"
            );
        } else {
            assert_eq!(found, [expected]);
        }
    }
}

#[test]
fn policies_for_unknown_outcomes_and_resubmits() {
    use ::relay::{AccountId, Deduplicate, UnknownOutcome};
    let of = |customer: &str, route: &str| {
        let text = GOOD
            .replace("rate = 1000", customer)
            .replace("prefix = \"1\"", &format!("prefix = \"1\"\n{route}"));
        let config = parse_with(&text, &[]).unwrap();
        let built = build(&config).unwrap();
        let account = AccountId::of_name(b"acme");
        let snapshot = &built.plan.snapshot;
        let plan = snapshot.route(&::relay::RouteQuestion::new(account, b"12025550100")).unwrap();
        let found = snapshot.account(account).unwrap();
        let of_route = snapshot.routes().plan(plan)[0].unknown_outcome;
        (found.unknown_outcome, of_route, found.deduplicate, found.deduplicate_window.as_secs())
    };
    assert_eq!(of("", ""), (UnknownOutcome::Fail, None, Deduplicate::Off, 60));
    assert_eq!(
        of("unknown_outcome = \"fail\"\ndeduplicate = \"content\"", "unknown_outcome = \"retry_other\""),
        (UnknownOutcome::Fail, Some(UnknownOutcome::RetryOther), Deduplicate::Content, 60)
    );
    assert_eq!(
        of(
            "unknown_outcome = \"retry_other\"\ndeduplicate = \"tlv\"\ndeduplicate_tlv = 516\ndeduplicate_window = \"5s\"",
            "unknown_outcome = \"fail\""
        ),
        (
            UnknownOutcome::RetryOther,
            Some(UnknownOutcome::Fail),
            Deduplicate::Tlv(smpp::tlv::Tag::USER_MESSAGE_REFERENCE),
            5
        )
    );
    let config = parse_with("[relay]\nunknown_window = \"5m\"\n", &[]).unwrap();
    assert_eq!(build(&config).unwrap().plan.snapshot.limits().unknown_window.as_secs(), 300);
}

#[test]
fn a_tag_and_its_use_belong_together() {
    let customer = |rest: &str| format!("[[customer]]\nsystem_id = \"a\"\npassword = \"x\"\n{rest}\n");
    check(
        &customer("deduplicate = \"tlv\""),
        &["gw.toml:4:15: customer \"a\": there is no deduplicate_tlv; name the tag, such as 516"],
    );
    check(
        &customer("deduplicate_tlv = 516"),
        &[
            "gw.toml:4:19: customer \"a\": deduplicate_tlv stands beside another way to recognise messages; write deduplicate = \"tlv\", or remove it",
        ],
    );
    check(
        &customer("deduplicate = \"tlv\"\ndeduplicate_tlv = 70000"),
        &["gw.toml:5:19: customer \"a\": deduplicate_tlv is 70000; use whole number, 1 to 65535"],
    );
    check(
        &customer("unknown_outcome = \"retry\""),
        &[
            "gw.toml:4:19: customer \"a\": unknown_outcome is \"retry\"; use one of \"fail\" or \"retry_other\"",
        ],
    );
}

#[test]
fn refuses_a_removed_policy_and_names_the_alternative() {
    let customer = "[[customer]]\nsystem_id = \"a\"\npassword = \"x\"\nunknown_outcome = \"hold\"\n";
    let route = "[[route]]\nprefix = \"1\"\nvendors = []\nunknown_outcome = \"retry_same\"\n";
    let found = mistakes(parse_with(&format!("{customer}{route}"), &[]));
    for word in ["hold", "retry_same"] {
        let is_named = |mistake: &String| {
            mistake.contains(&format!("unknown_outcome is \"{word}\"; this policy is no more"))
                && mistake.contains("\"fail\"")
                && mistake.contains("\"retry_other\"")
        };
        assert!(found.iter().any(is_named), "{word}: {found:?}");
    }
}

#[test]
fn mistakes_in_entries() {
    check(
        "[[customer]]\nsystem_id = \"a_name_that_is_too_long\"\npassword = \"x\"\n[[customer]]\nsystem_id = \"b\"\nbind_kinds = [\"sender\"]\n\
         [[customer]]\nsystem_id = \"b\"\npassword = \"x\"\npassword_file = \"y\"\nnumbers = [\"12\", \"one\"]\n",
        &[
            "gw.toml:2:13: customer \"a_name_that_is_too_long\": system_id has 23 bytes; use at most 15 bytes",
            "gw.toml:4:1: customer \"b\": there is no password; write password or password_file, or set GATEWAY__CUSTOMER__b__PASSWORD",
            "gw.toml:6:14: customer \"b\": bind_kinds holds \"sender\"; use \"transmitter\", \"receiver\" or \"transceiver\"",
            "gw.toml:8:13: customer \"b\" is defined a second time (first at gw.toml:5:13); rename one or remove it",
            "gw.toml:10:17: customer \"b\": password_file stands beside password; keep one of them",
            "gw.toml:11:18: customer \"b\": \"one\" is no number; write 1 to 20 digits",
        ],
    );
    check(
        "[[vendor]]\nname = \"west\"\naddresses = []\nsystem_id = \"g\"\npassword = \"p\"\ntls = true\ndialect = { tlv_cutt = true, tlv_cut = 1 }\n\
         [[route]]\nprefix = \"x\"\nvendors = [{ name = \"wets\" }, { name = \"west\", wieght = 1 }, { name = \"west\" }]\n[[route]]\nprefix = \"\"\ncustomer = \"b\"\n",
        &[
            "gw.toml:3:13: vendor \"west\": addresses is an empty list; write \"host:port\", such as \"smpp.example.net:2775\" or \"[2001:db8::1]:2775\"",
            "gw.toml:7:13: vendor \"west\": unknown dialect field \"tlv_cutt\"; did you mean \"tlv_cut\"?",
            "gw.toml:7:40: vendor \"west\": dialect field tlv_cut is no flag; write true or false",
            "gw.toml:9:10: route: \"x\" is no number; write 0 to 20 digits",
            "gw.toml:10:21: route: no vendor \"wets\"; did you mean \"west\"?",
            "gw.toml:10:48: route: vendors: unknown key \"wieght\"; did you mean \"weight\"?",
            "gw.toml:10:71: route: vendor \"west\" stands twice; name it once",
            "gw.toml:11:1: route: vendors is missing; give it (list of `{ name = \"...\", weight = 1, price = \"0.0042\" }`)",
            "gw.toml:13:12: route: no customer \"b\"; define it",
        ],
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let config = parse_with(
        GOOD,
        &[
            ("GATEWAY__NODE__ID", "7"),
            ("GATEWAY__LISTEN__SMPP", "0.0.0.0:2776"),
            ("GATEWAY__VENDOR__west__PASSWORD", "from-outside"),
            ("GATEWAY__CUSTOMER__acme__NUMBERS", "1, 2"),
            ("GATEWAY__STORE__KIND", "none"),
            ("PATH", "/bin"),
        ],
    );
    let config = config.unwrap();
    assert_eq!((config.node.id, config.listen.smpp.port()), (7, 2776));
    assert_eq!(config.vendors[0].password.as_ref().unwrap().expose(), b"from-outside");
    assert_eq!(config.customers[0].numbers.len(), 2);
    assert!(build(&config).unwrap().store.is_none());
}

#[test]
fn an_override_that_fits_nothing_is_a_mistake() {
    let found = mistakes(parse_with(
        GOOD,
        &[
            ("GATEWAY__NODE__ID", "many"),
            ("GATEWAY__NODE__IDD", "7"),
            ("GATEWAY__VENDOR__east__PASSWORD", "p"),
            ("GATEWAY__NODE", "7"),
        ],
    ));
    let expected = [
        "environment GATEWAY__NODE: names no setting; write GATEWAY__SECTION__KEY or GATEWAY__SECTION__NAME__KEY",
        "environment GATEWAY__NODE__ID: [node]: id is \"many\"; use whole number, 0 to 255, or \"auto\"",
        "environment GATEWAY__NODE__IDD: no setting \"idd\" in [node]; correct the name or unset the variable",
        "environment GATEWAY__VENDOR__east__PASSWORD: no setting \"password\" of vendor \"east\"; correct the name or unset the variable",
    ];
    assert_eq!(found, expected);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("p"), "hunter2\n").unwrap();
    let text = GOOD.replacen("password = \"secret\"", "password_file = \"p\"", 1);
    let config = parse(&directory.path().join("gw.toml"), &text, &[]).unwrap();
    assert_eq!(config.customers[0].credential, Some(Credential::Plain(Secret::new("hunter2"))));
    let shown = format!("{config:?} {:?}", build(&config).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("\"secret\""), "{shown}");

    let text = GOOD.replacen("password = \"secret\"", "password = 5", 1);
    let found = mistakes(parse_with(&text, &[]));
    assert_eq!(
        found,
        ["gw.toml:10:12: customer \"acme\": password is not a usable secret; write text in quotes"]
    );
}

#[test]
fn a_file_that_is_not_there_is_one_mistake() {
    let found = load(Path::new("/nowhere/gw.toml")).unwrap_err();
    assert!(
        found[0].to_string().starts_with("/nowhere/gw.toml:1:1: cannot be read: No such file"),
        "{}",
        found[0]
    );
}

#[test]
fn what_two_routes_share_is_told_with_its_place() {
    let text =
        format!("{GOOD}[[route]]\nprefix = \"1\"\ncustomer = \"acme\"\nvendors = [{{ name = \"west\" }}]\n");
    let found = build(&parse_with(&text, &[]).unwrap()).unwrap_err();
    let expected = "gw.toml:26:21: another route of this prefix, customer and priority names this vendor too; name it once, or give one route another priority";
    assert_eq!(found.iter().map(Mistake::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn keywords_lead_to_customers() {
    let text = format!(
        "{GOOD}[[customer]]\nsystem_id = \"shop\"\npassword = \"p\"\nreassemble = true\n\
         [[mo_route]]\nnumber = \"+12025550100\"\nkeywords = [\"Win\", \"ПРИЗ\"]\ncustomer = \"shop\"\n"
    );
    let built = build(&parse_with(&text, &[]).unwrap()).unwrap();
    let snapshot = &built.plan.snapshot;
    let owner = |text: &[u8]| {
        let number = snapshot.number(b"12025550100").unwrap();
        let owner = number.owner(smpp::field::DataCoding(0), text).unwrap();
        snapshot.account(owner).unwrap()
    };
    assert_eq!((&*owner(b"WIN it").name, &*owner(b"hello").name), ("shop", "acme"));
    assert!(owner(b"win").reassemble && !owner(b"hello").reassemble);
}

#[test]
fn mistakes_in_keywords_are_told_at_once() {
    let text = format!(
        "{GOOD}[[mo_route]]\nnumber = \"12x\"\nkeywords = [\"two words\", \"\"]\ncustomer = \"acne\"\n\
         [[mo_route]]\nnumber = \"12\"\nkeywords = [\"win\", \"WIN\"]\ncustomer = \"acme\"\n\
         [[mo_route]]\nnumber = \"12\"\nkeywords = []\n[[mo_route]]\nnumber = \"+12\"\nkeywords = [\"Win\"]\ncustomer = \"acme\"\n"
    );
    check(
        &text,
        &[
            "gw.toml:24:10: mo_route: \"12x\" is no number; write 1 to 20 digits",
            "gw.toml:25:13: mo_route: \"two words\" is no keyword; write 1 to 20 characters without white space",
            "gw.toml:25:26: mo_route: \"\" is no keyword; write 1 to 20 characters without white space",
            "gw.toml:26:12: mo_route: no customer \"acne\"; did you mean \"acme\"?",
            "gw.toml:29:20: mo_route: 12 has the keyword \"WIN\" already (at gw.toml:29:13); remove one of them; ASCII case does not count",
            "gw.toml:31:1: mo_route: customer is missing; give it (text, at most 15 bytes)",
            "gw.toml:33:12: mo_route: keywords is an empty list; name at least one",
            "gw.toml:36:13: mo_route: 12 has the keyword \"Win\" already (at gw.toml:29:20); remove one of them; ASCII case does not count",
        ],
    );
}

#[test]
fn records_are_made_where_somebody_wants_them() {
    use crate::cdr::CdrOptions;
    let built = |lines: &str| build(&parse_with(&format!("{GOOD}[cdr]\n{lines}"), &[]).unwrap()).unwrap();
    let none = built("");
    assert!(none.cdr.is_none() && !none.plan.snapshot.records());
    let remembered = built("recent_max = 10");
    let Some(CdrOptions { recent_max: 10, file: None, postgres: None, .. }) = remembered.cdr else {
        panic!("{:?}", remembered.cdr)
    };
    assert!(remembered.plan.snapshot.records());
    let both = built(
        "sinks = [\"file\", \"postgres\"]\npostgres = \"postgres://gw:hunter2@db/cdr\"\nwhen_full = \"drop\"\nkeep_days = 9",
    );
    let shown = format!("{:?}", both.cdr);
    assert!(!shown.contains("hunter2"), "{shown}");
    let Some(CdrOptions { file: Some(file), postgres: Some(postgres), when_full, .. }) = both.cdr else {
        panic!("{shown}")
    };
    assert_eq!((file.size_max, file.keep, postgres.keep_days), (128 << 20, None, Some(9)));
    assert_eq!(when_full, shard::WhenFull::Drop);
    assert!(file.directory.ends_with("cdr"));
}

#[test]
fn a_sink_without_a_database_and_a_wrong_one_are_mistakes() {
    check(
        "[cdr]\nsinks = [\"postgres\"]",
        &["gw.toml:2:9: [cdr]: the sink postgres has no database; set postgres to its connection string"],
    );
    let told = mistakes(parse_with("[cdr]\npostgres = \"hunter2 is no url\"", &[])).join("\n");
    assert!(told.contains("no connection string") && !told.contains("hunter2"), "{told}");
    check(
        "[cdr]\nsinks = [\"floppy\"]",
        &["gw.toml:2:9: [cdr]: sinks holds \"floppy\"; use \"file\" or \"postgres\""],
    );
}

#[test]
fn networks_are_read_and_their_mistakes_told() {
    let text = format!(
        "{GOOD}[[network]]\nprefix = \"+1202\"\nmcc = \"310\"\nmnc = \"260\"\ncarrier = \"tmobile\"\n\
         [[network]]\nprefix = \"44\"\nmcc = \"234\"\n"
    );
    let built = build(&parse_with(&text, &[]).unwrap()).unwrap();
    let networks = built.plan.snapshot.networks();
    let found = |destination: &[u8]| {
        let network = networks.network(networks.find(destination)?);
        Some((network.code.to_string(), network.carrier.to_string()))
    };
    assert_eq!(found(b"12025550100"), Some(("310260".into(), "tmobile".into())));
    assert_eq!(found(b"447700900000"), Some(("234".into(), String::new())));
    assert_eq!(found(b"33"), None);
    check(
        "[[network]]\nprefix = \"\"\nmcc = \"31\"\n[[network]]\nprefix = \"1\"\nmcc = \"310\"\nmnc = \"1\"\n\
         [[network]]\nprefix = \"+1\"\nmcc = \"310\"\n",
        &[
            "gw.toml:2:10: network \"\": \"\" is no number; write 1 to 20 digits",
            "gw.toml:3:7: network \"\": mcc \"31\" is none; write three digits for mcc, two or three for mnc",
            "gw.toml:7:7: network \"1\": mnc \"1\" is none; write three digits for mcc, two or three for mnc",
            "gw.toml:9:10: network: prefix 1 has its network already (at gw.toml:5:10); remove one of them",
        ],
    );
}

const SHARED: &str = "[[vendor]]\nname = \"east\"\naddresses = [\"10.0.0.1:2775\"]\nsystem_id = \"gw\"\npassword = \"p\"\n\
    binds = 7\nbinds_total = 2\n";

#[test]
fn binds_that_nodes_share_need_what_nodes_share_them_by() {
    check(
        &format!(
            "{SHARED}[[customer]]\nsystem_id = \"~node\"\npassword = \"p\"\n\
             [cluster]\nsecret = \"short\"\naddress = \"10.0.0.9:2775\"\n"
        ),
        &[
            "gw.toml:1:1: vendor \"east\": binds_total needs Redis; set [store] kind = \"redis\", or give each node its own",
            "gw.toml:9:13: customer: \"~node\" is what nodes bind as; choose another system_id",
            "gw.toml:12:10: [cluster]: the secret is too short or too long; use 16 to 256 random bytes",
        ],
    );
    check(
        &format!("{SHARED}[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1\"\n"),
        &[
            "gw.toml:1:1: vendor \"east\": binds_total needs [cluster] secret; give all nodes one secret or secret_file",
            "gw.toml:1:1: vendor \"east\": binds_total needs an address that other nodes reach this one at; \
             set [cluster] address",
        ],
    );
}

#[test]
fn binds_of_all_nodes_take_the_place_of_those_of_one() {
    let text = format!(
        "{SHARED}[store]\nkind = \"redis\"\nurl = \"redis://127.0.0.1\"\n\
         [cluster]\nsecret = \"sixteen bytes or more\"\naddress = \"10.0.0.9:2775\"\nslot_lease = \"3s\"\n"
    );
    let config = parse_with(&text, &[]).unwrap();
    assert_eq!(config.cluster.slot_lease, std::time::Duration::from_secs(3));
    let built = build(&config).unwrap();
    let vendor = &built.plan.vendors[0];
    assert_eq!((vendor.binds, vendor.is_shared), (2, true));
    let alone = build(&parse_with(GOOD, &[]).unwrap()).unwrap();
    assert!(alone.plan.vendors.iter().all(|vendor| !vendor.is_shared));
}

const RECEIVERS: &str = "[[vendor]]\nname = \"east\"\naddresses = [\"10.0.0.1:2775\"]\nsystem_id = \"gw\"\npassword = \"p\"\n\
    bind_kind = \"transmitter\"\nbinds = 2\nreceivers = 3\n";

#[test]
fn a_vendor_has_receivers_beside_its_transmitters() {
    let built = build(&parse_with(RECEIVERS, &[]).unwrap()).unwrap();
    let [transmitters, receivers] = &built.plan.vendors[..] else { panic!("{:?}", built.plan.vendors) };
    assert_eq!((transmitters.binds, transmitters.bind_kind), (2, smpp::pdu::BindKind::Transmitter));
    assert_eq!(
        (receivers.binds, receivers.bind_kind, receivers.is_shared),
        (3, smpp::pdu::BindKind::Receiver, false)
    );
    assert_eq!((receivers.id, receivers.are_beside()), (transmitters.id, true));
    assert_ne!(receivers.binds_id, transmitters.binds_id);
    check(
        &RECEIVERS.replace("transmitter", "receiver"),
        &[
            "gw.toml:8:13: vendor \"east\": all its binds are receivers already; remove it, or set bind_kind = \"transmitter\"",
        ],
    );
}

#[test]
fn entries_of_one_account_agree_on_what_is_the_accounts() {
    let entry = |name: &str, more: &str| {
        format!(
            "[[vendor]]\nname = \"{name}\"\naddresses = [\"10.0.0.1:2775\"]\nsystem_id = \"gw\"\npassword = \"p\"\n{more}\n"
        )
    };
    let text =
        entry("west", "rate = 5") + &entry("west-2", "account = \"west\"\nid_rule = \"case_fold\"\nrate = 5");
    check(
        &text,
        &[
            "gw.toml:7:1: vendor \"west-2\": id_rule is not that of \"west\"; both are of account \"west\": give both the same",
        ],
    );
}

#[test]
fn routes_take_conditions_prices_and_rewrites() {
    let text = format!(
        "{GOOD}[[route]]\nprefix = \"1\"\nnetwork = \"310\"\nsources = [\"1202\", \"ACME\"]\ncampaign = \"alerts\"\n\
         encodings = [\"ucs2\"]\nhours = \"Mon-Fri 08:00-20:00 -05:00\"\ncheapest = true\nrewrite_source = \"12025550100\"\n\
         destination_strip = \"1\"\nvendors = [{{ name = \"west\", price = \"0.0042\" }}]\n"
    );
    let config = parse_with(&text, &[]).unwrap();
    let route = &config.routes[1];
    let conditions = &route.conditions;
    assert_eq!(conditions.network.map(|code| code.to_string()).as_deref(), Some("310"));
    assert_eq!(conditions.sources.len(), 2);
    assert!(conditions.campaign.is_some() && conditions.hours.is_some());
    assert_eq!(conditions.encodings.map(|found| found.names()).as_deref(), Some("ucs2"));
    assert_eq!(route.vendors[0].price.map(|price| price.micros()), Some(4_200));
    let new = route.rewrite.source.as_ref().unwrap();
    assert_eq!(
        (new.ton, new.npi, &*new.digits, &*route.rewrite.destination_strip),
        (1, 1, "12025550100", "1")
    );
    assert!(build(&config).is_ok());
    check(
        &format!(
            "{GOOD}[[route]]\nprefix = \"\"\nnetwork = \"31\"\nsources = []\nencodings = [\"ascii\"]\nhours = \"8-20\"\n\
             cheapest = true\nrewrite_source_ton = 1\ndestination_add = \"x\"\nvendors = [{{ name = \"west\" }}]\n\
             [[route]]\nprefix = \"2\"\nvendors = [{{ name = \"west\", price = \"cheap\" }}]\n"
        ),
        &[
            "gw.toml:25:11: route: network \"31\" is none; write a country's code of three digits, and two or three of the network",
            "gw.toml:26:11: route: sources is an empty list; name at least one, or leave it out",
            "gw.toml:27:13: route: encodings holds \"ascii\"; use \"gsm7\", \"latin1\", \"ucs2\" or \"binary\"",
            "gw.toml:28:9: route: hours \"8-20\" are none; write such as \"08:00-20:00\" or \"Mon-Fri 08:00-20:00 -05:00\"",
            "gw.toml:30:22: route: rewrite_source_ton without rewrite_source; set rewrite_source, or leave it out",
            "gw.toml:31:19: route: destination_add \"x\" is no number; write digits",
            "gw.toml:32:21: route: vendor \"west\" has no price; give it a price, or leave cheapest out",
            "gw.toml:35:37: route: vendors: price \"cheap\" is none; write decimal text such as \"0.0042\"",
        ],
    );
}

#[test]
fn statuses_mean_what_an_error_map_says() {
    let map = "[[error_map]]\nname = \"odd\"\nstatuses = [{ status = \"0x400\", action = \"next_vendor\" }, \
               { status = \"ESME_RSYSERR\", to = \"ESME_RSUBMITFAIL\", action = \"permanent\" }]\n";
    let named = GOOD.replace("dialect = ", "error_map = \"odd\"\nencodings = [\"gsm7\"]\ndialect = ");
    let built = build(&parse_with(&format!("{named}{map}"), &[]).unwrap()).unwrap();
    let vendor = &built.plan.snapshot.vendors()[0];
    assert_eq!((vendor.error_map.len(), vendor.error_map[0].status.0), (2, 0x400));
    assert_eq!(vendor.error_map[1].to, Some(smpp::field::CommandStatus::ESME_RSUBMITFAIL));
    assert_eq!(vendor.encodings.names(), "gsm7");
    check(
        &format!(
            "{}[[error_map]]\nname = \"odd\"\nstatuses = [{{ status = \"8\" }},\n{{ status = \"ESME_ROK\", to = \"9\" }},\n\
             {{ status = \"9\", action = \"retry\" }}, {{ status = \"7\", to = \"9\" }},\n{{ status = \"7\", to = \"8\" }}]\n",
            GOOD.replace("dialect = ", "error_map = \"old\"\ndialect = ")
        ),
        &[
            "gw.toml:18:13: vendor: no error_map \"old\"; did you mean \"odd\"?",
            "gw.toml:26:24: error_map \"odd\": statuses \"8\": nothing is said of the status; give to, action or both",
            "gw.toml:27:12: error_map \"odd\": statuses \"ESME_ROK\": status \"ESME_ROK\" is no error status; write a name such as \"ESME_RSYSERR\" or a number such as \"0x400\"",
            "gw.toml:28:26: error_map \"odd\": statuses \"9\": action is \"retry\"; use one of \"permanent\", \"next_vendor\" or \"pause\"",
            "gw.toml:29:12: error_map \"odd\": statuses \"7\": the status stands twice; name it once",
        ],
    );
}
