//! Settings that only a start can take over, such as ports, directories and what threads are made of.

use super::Config;

/// Puts them back to what runs and says which of them differ, as `[section] setting`: a change of the others is then
/// published whole, and none of these by half.
pub fn keep_fixed(config: &mut Config, running: &Config) -> Vec<String> {
    let mut differing = Vec::new();
    // Which number `auto` found is not in the file.
    if config.node.id_is_auto && running.node.id_is_auto {
        config.node.id = running.node.id;
    }
    macro_rules! keep {
        ($section:ident: $($setting:literal $field:ident),*) => {$(
            if config.$section.$field != running.$section.$field {
                differing.push(concat!("[", stringify!($section), "] ", $setting).to_owned());
                config.$section.$field = running.$section.$field.clone();
            }
        )*};
    }
    keep!(node: "name" name, "id" id, "id_quiet" id_quiet);
    keep!(node: "state_directory" state_directory);
    keep!(runtime: "backend" backend, "shards" shards, "cores" cores);
    keep!(listen: "smpp" smpp, "http" http);
    keep!(session: "links_max" links_max);
    keep!(store: "kind" kind, "durability" sync_to_disk, "time_to_live" time_to_live, "parked_max" parked_max);
    keep!(store: "release_rate" release_rate, "recent_max" recent_max, "redis" redis);
    keep!(cluster: "address" address, "secret" secret, "slot_lease" slot_lease, "slot_grace" slot_grace);
    keep!(cluster: "hand_over_after" hand_over_after, "when_redis_is_away" when_redis_is_away);
    keep!(spool: "max" entries_max, "octets_max" octets_max);
    // How records are made, queued and written is the work of threads that are started once.
    keep!(cdr: "sinks" to_file, "sinks" to_postgres, "when_full" when_full, "queue_max" queue_max);
    keep!(cdr: "recent_max" recent_max, "addresses" mask_addresses, "directory" directory);
    keep!(cdr: "rotate_mib" rotate_mib, "rotate_after" rotate_after, "keep" keep);
    keep!(cdr: "postgres" postgres, "keep_days" keep_days);
    let address = |config: &Config| config.listen.tls.as_ref().map(|tls| tls.address);
    if address(config) != address(running) {
        differing.push("[listen] smpp_tls".into());
    }
    // Certificates are read at the start; whether they differ is not told.
    config.listen.tls = running.listen.tls.clone();
    differing.dedup(); // sinks
    differing
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        let node = "[node]\nname = \"gw\"\nid = 1\nstate_directory = \"state\"\n";
        parse(Path::new("gateway.toml"), &format!("{node}{text}"), &[]).expect("no mistake")
    }

    #[test]
    fn what_needs_a_restart_stays_and_is_told() {
        let running = config("[listen]\nsmpp = \"127.0.0.1:2775\"\n[relay]\nqueue_max = 10\n");
        let text = "[listen]\nsmpp = \"127.0.0.1:2776\"\n[relay]\nqueue_max = 20\n[runtime]\nshards = 3\n\
            [store]\nkind = \"none\"\n";
        let mut changed = config(text);
        let differing = keep_fixed(&mut changed, &running);
        assert_eq!(differing, ["[runtime] shards", "[listen] smpp", "[store] kind"]);
        assert_eq!(changed.listen.smpp, running.listen.smpp);
        assert_eq!(changed.relay.queue_max, 20, "what can change does");
        assert!(keep_fixed(&mut changed, &running).is_empty());
    }
}
