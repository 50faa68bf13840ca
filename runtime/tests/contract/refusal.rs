//! What needs a process of its own: a machine that refuses io_uring, and counting descriptors.

use std::collections::BTreeMap;
use std::process::Command;

use runtime::{Backend, BackendChoice, Listener, Runtime, Stream, select};

use super::streams;
use super::support::{STUCK, any_port, on_a_shard, scratch};

const CHILD: &str = "RUNTIME_CONTRACT_CHILD";

/// Runs one test of this binary in a process of its own.
pub(crate) fn in_child(test: &str) {
    let binary = std::env::current_exe().unwrap();
    // `output` waits for the child's end; it ends by its own limits.
    let output =
        Command::new(binary).args(["--exact", test, "--nocapture"]).env(CHILD, test).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{test}: {}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Runs `body` when a parent test asked for it.
pub(crate) fn if_child(body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        body();
    }
}

pub(crate) fn without_io_uring() {
    let calls: BTreeMap<i64, Vec<seccompiler::SeccompRule>> = [
        (libc::SYS_io_uring_setup, Vec::new()),
        (libc::SYS_io_uring_enter, Vec::new()),
        (libc::SYS_io_uring_register, Vec::new()),
    ]
    .into();
    let filter = seccompiler::SeccompFilter::new(
        calls,
        seccompiler::SeccompAction::Allow,
        seccompiler::SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&program).unwrap();
    refused("io_uring is forbidden");
}

pub(crate) fn without_locked_memory() {
    let limit = libc::rlimit { rlim_cur: 64 * 1024, rlim_max: 64 * 1024 };
    // SAFETY: `limit` is a valid rlimit for the call to read; lowering a limit needs no right.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) }, 0);
    refused("locked memory");
}

fn refused(why: &str) {
    let selected = select(BackendChoice::Auto).expect("auto needs no io_uring");
    assert_eq!(selected.backend, Backend::Tokio);
    assert!(!selected.reason.contains('\n'), "the reason fits one log line");
    let error = select(BackendChoice::Glommio).expect_err("what was asked for is refused").to_string();
    assert!(error.contains(why) && !error.contains('\n'), "{error}");
    // And glommio itself, started all the same, is an error and not a panic.
    let started = runtime::glommio::Glommio::run(runtime::Placement::Floating, "refused", || async {});
    assert!(started.is_err());
    streams::echo::<runtime::tokio::Tokio>();
}

pub(crate) fn descriptors_stay_level<R: Runtime>() {
    const CONNECTIONS: usize = 1000;
    let (before, after) = on_a_shard::<R, _, _, _>(|| async {
        let listener = R::listen(any_port()).unwrap();
        let scratch = scratch();
        let mut before = 0;
        for connection in 0..CONNECTIONS {
            let ours = R::connect(listener.local_address(), STUCK).await.unwrap();
            let (theirs, _peer) = listener.accept().await.unwrap();
            ours.try_write(b"?").unwrap();
            assert_eq!(theirs.read(&scratch).await.unwrap(), 1);
            // Every way a connection may end.
            match connection % 4 {
                0 => drop((ours, theirs)),
                1 => theirs.reset(),
                2 => drop(R::adopt(theirs.into_fd().unwrap()).unwrap()),
                _ => {
                    ours.shutdown();
                    assert_eq!(theirs.read(&scratch).await.unwrap(), 0);
                }
            }
            if connection == 10 {
                before = open_descriptors();
            }
        }
        (before, open_descriptors())
    });
    assert!(after <= before + 2, "{before} descriptors became {after} on {:?}", R::BACKEND);
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
