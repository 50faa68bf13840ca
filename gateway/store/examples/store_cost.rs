//! What one message costs the embedded store: remember, find and forget together, in processor time of all threads.
//!
//! ```text
//! cargo run --release -p gateway-store --example store_cost -- [MESSAGES] [OPEN] [TURN]
//! ```
//!
//! MESSAGES (default 3,000,000) are remembered in turns of TURN (256) and looked up and forgotten OPEN (100,000) messages
//! later. Then a million is left open, the process ends without closing the store, and the opening is timed.

use gateway_store::{Batch, Store, StoreOptions};
use relay::{
    AccountId, Correlation, CorrelationKey, DeliveryKey, Handset, MessageKey, ReceiptNumbers, StoreOp,
    VendorId, VendorMessageId,
};
use smpp::text::message_id::GatewayId;
use std::time::Instant;

/// The allocator of the programs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Correlations left open before the store is opened again.
const LEFT_OPEN: u64 = 1_000_000;
/// Now, for the store: it gives nothing up while this runs.
const NOW: u32 = 1_800_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let above = std::env::temp_dir().join(format!("store-cost-{}", std::process::id()));
    let directory = above.join("store");
    if let Some(directory) = std::env::var_os("STORE_COST_LEAVE_OPEN") {
        leave_open(&StoreOptions::new(directory.into()));
    }
    let (messages, open, turn) = (number(0, 3_000_000), number(1, 100_000), number(2, 256u64));
    let mut store = Store::embedded(&StoreOptions::new(directory.clone())).expect("opens");
    let mut batches = [Batch::default()];
    let (started, cpu, mut slowest) = (Instant::now(), cpu_seconds(), 0.0_f64);
    let mut missed = 0;
    for first in (0..messages).step_by(turn as usize) {
        for message in first..first + turn {
            batches[0].ops.push(remember(message));
            if let Some(old) = message.checked_sub(open) {
                let numbers = ReceiptNumbers::new(handset_of(old).as_bytes(), b"ACME");
                let delivery = DeliveryKey::from_u64(old);
                batches[0].ops.push(StoreOp::Find { delivery, key: key(old), numbers });
                batches[0].ops.push(StoreOp::Forget {
                    key: key(old),
                    gateway_id: GatewayId(old),
                    submitted_at: NOW,
                });
            }
        }
        let turn_started = Instant::now();
        store.turn(NOW, &mut batches);
        slowest = slowest.max(turn_started.elapsed().as_secs_f64());
        missed += batches[0].answers.drain(..).filter(is_missing).count();
    }
    let per_message = |seconds: f64| seconds * 1e6 / messages as f64;
    println!(
        "{messages} messages, {open} open, {turn} a turn: {:.2} us processor time and {:.2} us wall time a message, slowest turn {:.1} ms, {missed} missed",
        per_message(cpu_seconds() - cpu),
        per_message(started.elapsed().as_secs_f64()),
        slowest * 1e3
    );
    drop(store);
    let program = std::env::current_exe().expect("this program");
    std::fs::remove_dir_all(&above).expect("ours");
    let status =
        std::process::Command::new(program).env("STORE_COST_LEAVE_OPEN", &directory).status().expect("runs");
    assert!(!status.success(), "the child is killed, it does not end");
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let store = Store::embedded(&StoreOptions::new(directory.clone())).expect("opens");
    let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let open = store.counters().open_recent;
    println!("{open} open correlations ready after {wall:.2} s, with {cpu:.2} s of processor time");
    drop(store);
    std::fs::remove_dir_all(&above).expect("ours");
}

/// Fills a store and ends without a word, as kill -9 does.
fn leave_open(options: &StoreOptions) -> ! {
    let mut store = Store::embedded(options).expect("opens");
    let mut batches = [Batch::default()];
    for first in (0..LEFT_OPEN).step_by(250) {
        batches[0].ops.extend((first..first + 250).map(remember));
        store.turn(NOW, &mut batches);
        batches[0].answers.clear();
    }
    std::process::abort();
}

fn key(message: u64) -> CorrelationKey {
    let id = format!("{:016x}{:04x}", message.wrapping_mul(0x9E37_79B9_7F4A_7C15), message & 0xffff);
    CorrelationKey { vendor: VendorId(7), id: VendorMessageId::new(id.as_bytes()).expect("20 octets") }
}

fn handset_of(message: u64) -> String {
    format!("1202{:07}", message % 10_000_000)
}

fn remember(message: u64) -> StoreOp {
    let correlation = Correlation {
        account: AccountId::of_name(b"acme"),
        gateway_id: GatewayId(message),
        submitted_at: NOW,
        urgent: false,
        registered: smpp::field::RegisteredDelivery::RECEIPT,
        handset: Handset::of(handset_of(message).as_bytes()),
        sender: 7,
        shared: false,
        addresses: None,
    };
    StoreOp::Remember { message: MessageKey::from_u64(message), key: key(message), correlation }
}

fn is_missing(answer: &relay::StoreAnswer) -> bool {
    matches!(answer, relay::StoreAnswer::Found { outcome: Ok(relay::Finding::Nothing) | Err(_), .. })
}

/// Processor time of this process so far: user and system, all threads.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let main_thread = stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9;
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let all: f64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()))
        .sum();
    main_thread.max(all / 1e9)
}
