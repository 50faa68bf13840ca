//! Whether a customer's password is right. Hashing takes tens of milliseconds and megabytes, so it happens on a few
//! threads of its own behind a bounded queue ([`queue`]); what was right once is remembered, so that a storm of binds after
//! an outage costs one hash for each customer.
//!
//! Nothing is hashed for an unknown system_id. What is wrong waits for its turn like what must be hashed, and shards refuse
//! at one fixed time after the bind, so that names cannot be guessed by the clock.

mod queue;

use crate::config::Credential;
use arc_swap::ArcSwap;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use ipnet::IpNet;
use queue::{Queue, Source};
use relay::AccountId;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Bounds of the side pool.
#[derive(Clone, Copy, Debug)]
pub struct AuthOptions {
    /// Threads that hash; each is busy for tens of milliseconds and some 20 MiB for each password not seen before.
    pub threads: usize,
    /// Binds that may wait for a thread. Each waits no longer than its link, and is refused before that.
    pub queue_max: usize,
}

/// Hashing threads at least: with one, a thousand customers take half a minute to come back.
const THREADS_MIN: usize = 2;
/// And at most: each takes some 20 MiB.
const THREADS_MAX: usize = 4;

impl Default for AuthOptions {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        AuthOptions { threads: (cores / 4).clamp(THREADS_MIN, THREADS_MAX), queue_max: 4096 }
    }
}

/// What is said of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The account, and its password is right.
    Right(AccountId),
    /// No such system_id, or not its password: the difference is nobody's business.
    Wrong,
    /// Too many wait; try again.
    Busy,
}

/// Counters of authentication.
#[derive(Default, Debug)]
pub struct AuthCounters {
    /// Right passwords.
    pub right: AtomicU64,
    /// Wrong passwords and unknown ids.
    pub wrong: AtomicU64,
    /// Binds sent away because the queue was full.
    pub busy: AtomicU64,
    /// Binds whose link ended, or was refused for want of time, while they waited.
    pub gone: AtomicU64,
    /// Hashes computed.
    pub hashed: AtomicU64,
    /// Binds that wait now.
    pub waiting: AtomicU64,
}

/// One bind to be judged.
#[derive(Debug)]
pub struct AuthQuestion<'a> {
    /// Who it says it is.
    pub system_id: &'a [u8],
    /// Its proof.
    pub password: &'a [u8],
    /// Whence it came.
    pub address: IpAddr,
    /// Dead once nobody waits for the verdict.
    pub waits: Weak<()>,
}

/// Checks passwords. Clones share one pool, which ends with the last of them.
#[derive(Clone)]
pub struct Authenticator(Arc<Pool>);

/// Account, system_id and proof of a customer.
pub type AccountCredential = (AccountId, Box<[u8]>, Credential);

/// Who may bind, as one configuration has it.
#[derive(Clone, Debug, Default)]
pub struct Guests {
    /// All customers.
    pub credentials: Vec<AccountCredential>,
    /// Networks of proxies that many customers come through: a bind from there is counted for its system_id.
    pub trusted_proxies: Vec<IpNet>,
}

/// Everybody's proofs as one configuration has them.
struct Known {
    /// Which publication they came with; 0 at the start.
    generation: u64,
    accounts: HashMap<Box<[u8]>, (AccountId, Proof)>,
    trusted_proxies: Vec<IpNet>,
}

/// What a password is compared with.
enum Proof {
    /// Its keyed hash.
    Plain(Fingerprint),
    /// Its Argon2id hash in PHC form.
    Hash(Box<str>),
}

/// 128 bits that say nothing outside this process.
type Fingerprint = (u64, u64);

/// Ends the threads when it goes.
struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    known: ArcSwap<Known>,
    verified: Mutex<HashSet<Fingerprint>>,
    /// Two hashers with keys of their own, made at random for this process.
    keys: (RandomState, RandomState),
    counters: AuthCounters,
    line: Mutex<Line>,
    /// Notified when somebody waits, and at the end.
    came: Condvar,
}

struct Line {
    queue: Queue<Job>,
    has_ended: bool,
}

struct Job {
    system_id: Box<[u8]>,
    password: Box<[u8]>,
    source: Source,
    waits: Weak<()>,
    answer: Box<dyn FnOnce(Verdict, u64) + Send>,
}

/// Verified credentials remembered; 16 bytes each. When it is full it is emptied: then each is hashed once more.
const VERIFIED_MAX: usize = 100_000;

impl Authenticator {
    /// Starts the pool.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(guests: Guests, options: AuthOptions) -> io::Result<(Authenticator, Vec<JoinHandle<()>>)> {
        let keys = (RandomState::new(), RandomState::new());
        let queue = Queue::new(options.queue_max, Instant::now());
        let shared = Arc::new(Shared {
            known: ArcSwap::from_pointee(Known::new(guests, 0, &keys)),
            verified: Mutex::default(),
            keys,
            counters: AuthCounters::default(),
            line: Mutex::new(Line { queue, has_ended: false }),
            came: Condvar::new(),
        });
        let pool = Pool { shared: shared.clone() };
        let threads = (0..options.threads.max(1)).map(|number| {
            let shared = shared.clone();
            thread::Builder::new().name(format!("auth-{number}")).spawn(move || shared.work())
        });
        let threads = threads.collect::<io::Result<Vec<_>>>()?;
        Ok((Authenticator(Arc::new(pool)), threads))
    }

    /// Judges by these from now on, without a pause; `generation` names them.
    pub fn replace(&self, guests: Guests, generation: u64) {
        let shared = &self.0.shared;
        shared.known.store(Arc::new(Known::new(guests, generation, &shared.keys)));
    }

    /// Which credentials it judges by.
    pub fn generation(&self) -> u64 {
        self.0.shared.known.load().generation
    }

    /// Judges one bind; `answer` is called at once or from a thread of the pool, and must not block. It is told by which
    /// credentials was judged. It is not called where nobody waits any more.
    pub fn ask(&self, question: AuthQuestion<'_>, answer: impl FnOnce(Verdict, u64) + Send + 'static) {
        let shared = &self.0.shared;
        let known = shared.known.load();
        let AuthQuestion { system_id, password, address, waits } = question;
        if let Some(account) = shared.is_right_at_once(&known, system_id, password) {
            return answer(shared.count(Verdict::Right(account)), known.generation);
        }
        let source = known.source(system_id, address);
        let job = Job {
            system_id: system_id.into(),
            password: password.into(),
            source: source.clone(),
            waits,
            answer: Box::new(answer),
        };
        let mut line = shared.line();
        let displaced = line.queue.push(source, job);
        shared.counters.waiting.store(line.queue.len() as u64, Ordering::Relaxed);
        drop(line);
        shared.came.notify_one();
        if let Some(job) = displaced {
            (job.answer)(shared.count(Verdict::Busy), known.generation);
        }
    }

    /// Counters as they stand.
    pub fn counters(&self) -> &AuthCounters {
        &self.0.shared.counters
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.line().has_ended = true;
        self.shared.came.notify_all();
    }
}

/// Whether a hash is one that [`Authenticator`] can check: Argon2id in PHC form with parameters that exist.
pub(crate) fn is_usable_hash(hash: &[u8]) -> bool {
    let parsed = std::str::from_utf8(hash).ok().and_then(|hash| PasswordHash::new(hash).ok());
    parsed.is_some_and(|parsed| {
        let is_complete = parsed.salt.is_some() && parsed.hash.is_some();
        is_complete && parsed.algorithm.as_str() == "argon2id" && argon2::Params::try_from(&parsed).is_ok()
    })
}

impl Known {
    fn new(guests: Guests, generation: u64, keys: &(RandomState, RandomState)) -> Known {
        let proof = |credential: &Credential| match credential {
            Credential::Plain(secret) => Proof::Plain(fingerprint(keys, secret.expose())),
            Credential::Hash(hash) => Proof::Hash(String::from_utf8_lossy(hash.expose()).into()),
        };
        let accounts = guests.credentials.iter().map(|(id, name, one)| (name.clone(), (*id, proof(one))));
        Known { generation, accounts: accounts.collect(), trusted_proxies: guests.trusted_proxies }
    }

    /// For whom a bind of this customer from this address is counted.
    fn source(&self, system_id: &[u8], address: IpAddr) -> Source {
        let address = address.to_canonical();
        match self.trusted_proxies.iter().any(|network| network.contains(&address)) {
            true => Source::Customer(system_id.into()),
            false => Source::of_address(address),
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account, where it takes no hash to see that the password is right. That one is wrong is not told at once: it
    /// would tell this customer from those that are hashed.
    fn is_right_at_once(&self, by: &Known, system_id: &[u8], password: &[u8]) -> Option<AccountId> {
        let (account, proof) = by.accounts.get(system_id)?;
        let is_right = match proof {
            Proof::Plain(secret) => *secret == fingerprint(&self.keys, password),
            Proof::Hash(hash) => self.is_verified(system_id, password, hash),
        };
        is_right.then_some(*account)
    }

    fn work(&self) {
        lower_priority();
        while let Some(job) = self.next() {
            if job.waits.strong_count() == 0 {
                self.counters.gone.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let known = self.known.load_full();
            let verdict = self.judge(&known, &job.system_id, &job.password);
            if verdict == Verdict::Wrong {
                self.line().queue.blame(Instant::now(), job.source);
            }
            (job.answer)(self.count(verdict), known.generation);
        }
    }

    /// Waits for somebody whose turn it is; nothing at the end.
    fn next(&self) -> Option<Job> {
        let mut line = self.line();
        loop {
            if line.has_ended {
                return None;
            }
            if let Some(job) = line.queue.pop() {
                self.counters.waiting.store(line.queue.len() as u64, Ordering::Relaxed);
                return Some(job);
            }
            line = self.came.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn judge(&self, by: &Known, system_id: &[u8], password: &[u8]) -> Verdict {
        if let Some(account) = self.is_right_at_once(by, system_id, password) {
            return Verdict::Right(account); // another bind of this customer was hashed meanwhile
        }
        let Some((account, Proof::Hash(hash))) = by.accounts.get(system_id) else { return Verdict::Wrong };
        self.counters.hashed.fetch_add(1, Ordering::Relaxed);
        let parsed = PasswordHash::new(hash);
        if !parsed.is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok()) {
            return Verdict::Wrong;
        }
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(fingerprint(&self.keys, &(system_id, password, &**hash)));
        Verdict::Right(*account)
    }

    /// With another hash the password is verified anew.
    fn is_verified(&self, system_id: &[u8], password: &[u8], hash: &str) -> bool {
        let fingerprint = fingerprint(&self.keys, &(system_id, password, hash));
        self.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }

    fn count(&self, verdict: Verdict) -> Verdict {
        let counter = match verdict {
            Verdict::Right(_) => &self.counters.right,
            Verdict::Wrong => &self.counters.wrong,
            Verdict::Busy => &self.counters.busy,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        verdict
    }
}

/// Nobody outside knows the keys, so the time of a comparison tells nothing about what is compared.
fn fingerprint(keys: &(RandomState, RandomState), text: &(impl std::hash::Hash + ?Sized)) -> Fingerprint {
    (keys.0.hash_one(text), keys.1.hash_one(text))
}

/// Shards go first: a thread that hashes takes one part in ten of a core that one of them wants too.
fn lower_priority() {
    const NICE: i32 = 10;
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "hashing runs at the priority of messages");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use argon2::PasswordHasher;
    use std::sync::mpsc::{Sender, channel};

    /// Little memory, so that tests are quick.
    fn hash(password: &[u8]) -> String {
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        Argon2::from(params).hash_password_with_salt(password, b"some salt 123").unwrap().to_string()
    }

    fn account(name: &[u8], credential: Credential) -> AccountCredential {
        (AccountId::of_name(name), Box::from(name), credential)
    }

    fn guests() -> Guests {
        Guests {
            credentials: vec![
                account(b"plain", Credential::Plain(Secret::new("secret"))),
                account(b"hashed", Credential::Hash(Secret::new(hash(b"secret")))),
                account(b"other", Credential::Hash(Secret::new(hash(b"secret")))),
            ],
            trusted_proxies: vec!["127.0.9.0/24".parse().unwrap()],
        }
    }

    fn authenticator(queue_max: usize) -> Authenticator {
        Authenticator::start(guests(), AuthOptions { threads: 1, queue_max }).unwrap().0
    }

    /// A bind from this address, as long as `waits` lives; its verdict goes to `sender` under this name.
    fn ask_from(
        authenticator: &Authenticator,
        address: [u8; 4],
        (system_id, password): (&str, &str),
        waits: &Arc<()>,
        sender: &Sender<(String, Verdict)>,
    ) {
        let (name, sender) = (format!("{system_id} {password}"), sender.clone());
        let question = AuthQuestion {
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
            address: address.into(),
            waits: Arc::downgrade(waits),
        };
        authenticator.ask(question, move |verdict, _| sender.send((name, verdict)).unwrap());
    }

    fn ask(authenticator: &Authenticator, system_id: &[u8], password: &[u8]) -> Verdict {
        let (sender, receiver) = channel();
        let waits = Arc::new(());
        let question = AuthQuestion {
            system_id,
            password,
            address: IpAddr::from([127, 0, 0, 1]),
            waits: Arc::downgrade(&waits),
        };
        authenticator.ask(question, move |verdict, _| sender.send(verdict).unwrap());
        receiver.recv().unwrap()
    }

    /// Keeps the only thread busy until what is given back is dropped.
    fn block(authenticator: &Authenticator) -> Sender<()> {
        let (blocker, blocked) = channel::<()>();
        let (started, waiting) = channel();
        let waits = Arc::new(());
        let question = AuthQuestion {
            system_id: b"nobody",
            password: b"",
            address: IpAddr::from([127, 9, 9, 9]),
            waits: Arc::downgrade(&waits),
        };
        authenticator.ask(question, move |_, _| {
            started.send(()).unwrap();
            let _ = blocked.recv();
        });
        waiting.recv().unwrap();
        blocker
    }

    #[test]
    fn verdicts() {
        let authenticator = authenticator(16);
        for (system_id, password, right) in [
            ("plain", "secret", true),
            ("plain", "secre", false),
            ("plain", "secret\0", false),
            ("plain", "", false),
            ("hashed", "secret", true),
            ("hashed", "secret", true),
            ("hashed", "Secret", false),
            ("nobody", "secret", false),
            ("", "", false),
        ] {
            let expected =
                if right { Verdict::Right(AccountId::of_name(system_id.as_bytes())) } else { Verdict::Wrong };
            assert_eq!(
                ask(&authenticator, system_id.as_bytes(), password.as_bytes()),
                expected,
                "{system_id} {password}"
            );
        }
        let long = vec![b'x'; 5000];
        assert_eq!(ask(&authenticator, b"plain", &long), Verdict::Wrong);
        let counters = authenticator.counters();
        assert_eq!((counters.right.load(Ordering::Relaxed), counters.wrong.load(Ordering::Relaxed)), (3, 7));
    }

    #[test]
    fn a_storm_of_binds_costs_one_hash() {
        let authenticator = authenticator(64);
        let (sender, receiver) = channel();
        let waits = Arc::new(());
        for _ in 0..50 {
            ask_from(&authenticator, [127, 0, 0, 1], ("hashed", "secret"), &waits, &sender);
        }
        for _ in 0..50 {
            assert_eq!(receiver.recv().unwrap().1, Verdict::Right(AccountId::of_name(b"hashed")));
        }
        assert_eq!(authenticator.counters().hashed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_unknown_id_costs_no_hash() {
        let authenticator = authenticator(4);
        assert_eq!(ask(&authenticator, b"nobody", b"secret"), Verdict::Wrong);
        assert_eq!(ask(&authenticator, b"plain", b"wrong"), Verdict::Wrong);
        assert_eq!(authenticator.counters().hashed.load(Ordering::Relaxed), 0);
    }

    /// Who is wrong without a hash waits like who must be hashed: while all threads are busy, no answer tells which is which.
    #[test]
    fn what_is_wrong_waits_its_turn() {
        let authenticator = authenticator(16);
        let blocker = block(&authenticator);
        let (sender, receiver) = channel();
        let waits = Arc::new(());
        for (last, who) in [("nobody", "x"), ("plain", "wrong"), ("hashed", "wrong")].into_iter().enumerate()
        {
            ask_from(&authenticator, [127, 0, 0, last as u8], who, &waits, &sender);
        }
        ask_from(&authenticator, [127, 0, 0, 9], ("plain", "secret"), &waits, &sender);
        let first = receiver.recv().unwrap();
        assert_eq!(first, ("plain secret".into(), Verdict::Right(AccountId::of_name(b"plain"))));
        assert!(receiver.try_recv().is_err());
        drop(blocker);
        for who in ["nobody x", "plain wrong", "hashed wrong"] {
            assert_eq!(receiver.recv().unwrap(), (who.into(), Verdict::Wrong));
        }
    }

    #[test]
    fn a_full_queue_sends_away() {
        let authenticator = authenticator(1);
        let blocker = block(&authenticator);
        let (sender, receiver) = channel();
        let waits = Arc::new(());
        for _ in 0..2 {
            ask_from(&authenticator, [127, 0, 0, 1], ("hashed", "other"), &waits, &sender);
        }
        assert_eq!(receiver.recv().unwrap().1, Verdict::Busy);
        assert_eq!(authenticator.counters().waiting.load(Ordering::Relaxed), 1);
        drop(blocker);
        assert_eq!(receiver.recv().unwrap().1, Verdict::Wrong);
    }

    #[test]
    fn who_has_gone_is_not_hashed() {
        let authenticator = authenticator(64);
        let blocker = block(&authenticator);
        let (sender, receiver) = channel();
        let (gone, waits) = (Arc::new(()), Arc::new(()));
        for _ in 0..10 {
            ask_from(&authenticator, [127, 0, 0, 1], ("hashed", "wrong"), &gone, &sender);
        }
        ask_from(&authenticator, [127, 0, 0, 1], ("hashed", "secret"), &waits, &sender);
        drop((gone, blocker));
        assert_eq!(receiver.recv().unwrap().0, "hashed secret");
        let counters = authenticator.counters();
        assert_eq!(counters.gone.load(Ordering::Relaxed), 10);
        assert_eq!(counters.hashed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn one_address_does_not_keep_others_waiting() {
        let authenticator = authenticator(64);
        let (sender, receiver) = channel::<(String, Verdict)>();
        let waits = Arc::new(());
        let order = |blocker: Sender<()>, asked: usize| -> Vec<String> {
            drop(blocker);
            (0..asked).map(|_| receiver.recv().unwrap().0).collect()
        };
        // From one address many that are wrong; after that it comes last.
        let blocker = block(&authenticator);
        for number in 0..20 {
            ask_from(&authenticator, [127, 0, 0, 1], ("hashed", &format!("{number}")), &waits, &sender);
        }
        ask_from(&authenticator, [127, 0, 0, 2], ("other", "secret"), &waits, &sender);
        let order_found = order(blocker, 21);
        assert_eq!(order_found.iter().position(|who| who == "other secret"), Some(1));
        let blocker = block(&authenticator);
        ask_from(&authenticator, [127, 0, 0, 1], ("hashed", "20"), &waits, &sender);
        ask_from(&authenticator, [127, 0, 0, 3], ("hashed", "secret"), &waits, &sender);
        assert_eq!(order(blocker, 2), ["hashed secret", "hashed 20"]);
        // Through a proxy each customer has turns of its own.
        let blocker = block(&authenticator);
        for number in 0..5 {
            ask_from(&authenticator, [127, 0, 9, 1], ("hashed", &format!("{number}")), &waits, &sender);
        }
        ask_from(&authenticator, [127, 0, 9, 1], ("other", "no"), &waits, &sender);
        let order_found = order(blocker, 6);
        assert_eq!(order_found.iter().position(|who| who == "other no"), Some(1));
    }

    #[test]
    fn other_credentials_are_judged_by_at_once() {
        let authenticator = authenticator(4);
        let hashed = |password: &[u8]| {
            let credential = Credential::Hash(Secret::new(hash(password)));
            Guests { credentials: vec![account(b"hashed", credential)], ..Guests::default() }
        };
        let right = Verdict::Right(AccountId::of_name(b"hashed"));
        assert_eq!(ask(&authenticator, b"hashed", b"secret"), right);
        authenticator.replace(hashed(b"other"), 1);
        assert_eq!(authenticator.generation(), 1);
        assert_eq!(ask(&authenticator, b"hashed", b"secret"), Verdict::Wrong, "although it was right once");
        assert_eq!(ask(&authenticator, b"hashed", b"other"), right);
        assert_eq!(ask(&authenticator, b"plain", b"secret"), Verdict::Wrong, "taken away");
        authenticator.replace(Guests::default(), 2);
        assert_eq!(ask(&authenticator, b"hashed", b"other"), Verdict::Wrong);
    }

    #[test]
    fn hashes_that_can_be_checked() {
        for (hash, usable) in [
            (hash(b"x").as_str(), true),
            ("", false),
            ("secret", false),
            ("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ", false),
            ("$2b$12$abcdefghijklmnopqrstuv", false),
        ] {
            assert_eq!(is_usable_hash(hash.as_bytes()), usable, "{hash}");
        }
    }
}
